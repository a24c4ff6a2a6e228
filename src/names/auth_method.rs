//! Ways to prove to tor who we are.

super::keywords! {
    /// A method of authentication, as `PROTOCOLINFO` lists them.
    pub enum AuthMethod {
        /// Nothing is asked for.
        Null = "NULL",
        /// A password, of which tor knows the hash (`HashedControlPassword`).
        HashedPassword = "HASHEDPASSWORD",
        /// The bytes of a file that tor wrote (`CookieAuthentication`).
        Cookie = "COOKIE",
        /// A proof of knowing the cookie, from both sides, that does not reveal it.
        SafeCookie = "SAFECOOKIE",
    }
}
