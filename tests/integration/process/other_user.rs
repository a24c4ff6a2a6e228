use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;
use torcon::process::Launcher;
use torcon::{Error, Signal};

use super::real::offline;
use crate::support::real_tor::assert_exited;

/// The users that tor can change to in this process. Without root it is only the user of the process,
/// and no directory changes its owner.
fn users() -> Vec<User> {
    if !geteuid().is_root() {
        return vec![User::from_uid(geteuid()).unwrap().unwrap()];
    }
    let names = ["debian-tor", "nobody"];
    let users: Vec<_> = names.iter().filter_map(|name| User::from_name(name).unwrap()).collect();
    assert!(!users.is_empty(), "one of these users exists");
    users
}

fn launcher(user: &User) -> Launcher {
    offline().option("User", &user.name)
}

/// A directory that every user can search and only its owner can write.
fn root() -> TempDir {
    let root = tempfile::Builder::new().prefix("user-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o711)).unwrap();
    root
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

#[test]
fn a_tor_that_changes_its_user_has_directories_of_that_user() {
    for user in users() {
        let root = root();
        let services = ["one", "two"].map(|name| root.path().join(name));
        // An existing empty directory of root, and a missing one.
        fs::create_dir(&services[0]).unwrap();
        fs::set_permissions(&services[0], Permissions::from_mode(0o700)).unwrap();
        let launcher = services.iter().fold(launcher(&user), |launcher, path| {
            launcher.option("HiddenServiceDir", path).option("HiddenServicePort", "80")
        });
        let tor = launcher.launch().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", tor.pid())).unwrap();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
        assert_eq!(uids.split('\t').next().unwrap(), user.uid.to_string());
        assert_eq!(owner(tor.data_directory()), user.uid.as_raw());
        for service in &services {
            assert_eq!(owner(service), user.uid.as_raw());
            assert!(service.join("hostname").exists());
        }
        // tor reads and writes its configuration as that user.
        let controller = tor.controller().unwrap();
        controller.set_conf([("ContactInfo", "somebody")]).unwrap();
        controller.save_conf().unwrap();
        controller.signal(Signal::Reload).unwrap();
        assert_eq!(
            controller.get_conf(["ContactInfo"]).unwrap().get("ContactInfo").unwrap().first(),
            Some("somebody")
        );
        let private = PathBuf::from(controller.get_info_one("config-file").unwrap());
        let private = private.parent().unwrap().to_owned();
        assert_exited(0, tor.quit().unwrap());
        assert!(!private.exists());
        assert!(services[0].join("hostname").exists());
    }
}

#[test]
fn a_new_data_directory_belongs_to_the_user_of_tor_and_is_used_again() {
    for user in users() {
        let root = root();
        let data = root.path().join("data");
        if !geteuid().is_root() {
            fs::create_dir(&data).unwrap();
        }
        for _ in 0..2 {
            let tor = launcher(&user).data_directory(&data).launch().unwrap();
            assert_eq!(owner(&data), user.uid.as_raw());
            tor.quit().unwrap();
        }
    }
}

#[test]
fn neither_a_directory_with_content_nor_the_target_of_a_link_changes_its_owner() {
    for user in users() {
        let root = root();
        let [full, target, link] = ["full", "target", "link"].map(|name| root.path().join(name));
        for directory in [&full, &target] {
            fs::create_dir(directory).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(full.join("other"), "x").unwrap();
        symlink(&target, &link).unwrap();
        let me = geteuid().as_raw();
        for path in [&full, &link] {
            let launched = launcher(&user).data_directory(path).launch();
            let service = launcher(&user).option("HiddenServiceDir", path);
            let service = service.option("HiddenServicePort", "80").launch();
            assert_eq!((owner(&full), owner(&target)), (me, me));
            if geteuid().is_root() {
                for launched in [launched, service] {
                    let Err(Error::Launch(error)) = launched else { panic!("{launched:?}") };
                    let text = error.to_string();
                    let advice = error.advice() == Some("give the directory to tor's user alone");
                    assert!(advice || *path == link, "{error:?}");
                    assert!(text.contains(path.to_str().unwrap()), "{text}");
                }
            }
        }
        // A directory that belongs to that user already is not changed.
        if geteuid().is_root() {
            chown(&full, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        launcher(&user).data_directory(&full).launch().unwrap().quit().unwrap();
    }
}
