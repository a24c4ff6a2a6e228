//! The authentication methods of the control port.

super::keywords! {
    /// A method of authentication, as `PROTOCOLINFO` lists them.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::AuthMethod;
    ///
    /// assert_eq!(AuthMethod::from("HASHEDPASSWORD"), AuthMethod::HashedPassword);
    /// assert_eq!(AuthMethod::HashedPassword.as_str(), "HASHEDPASSWORD");
    /// assert!(!AuthMethod::from("FUTURE").is_recognized());
    /// ```
    pub enum AuthMethod {
        /// No authentication.
        Null = "NULL",
        /// A password, of which tor knows the hash (`HashedControlPassword`).
        HashedPassword = "HASHEDPASSWORD",
        /// The bytes of a file that tor wrote (`CookieAuthentication`).
        Cookie = "COOKIE",
        /// A challenge and response: both sides prove that they know the cookie, and do not send it.
        SafeCookie = "SAFECOOKIE",
    }
}
