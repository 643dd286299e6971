//! Which blobs a location lists, in a form in which locations can be compared.

use std::path::{MAIN_SEPARATOR, Path};
use std::{fs, path};

use url::Url;

use super::endpoint::{AZURE_DOMAINS, is_this_machine};
use super::{ContainerUrl, Location};
use crate::model::{Filter, Scope};

impl Location {
    /// The blobs that a listing from here has. `recursive` is whether it descends into folders, and `filter` is which
    /// names it lists.
    ///
    /// A folder is known by its absolute path without links, so it is found from any working directory.
    pub fn scope(&self, recursive: bool, filter: &Filter) -> Scope {
        let filter = filter.clone();
        match self {
            Self::Folder(path) => {
                Scope { container: Scope::FOLDERS.to_owned(), prefix: folder(path), recursive, filter }
            }
            Self::Container(url) => {
                Scope { container: url.identity(), prefix: url.prefix().to_owned(), recursive, filter }
            }
        }
    }
}

impl ContainerUrl {
    /// The same text for every URL of the container: `media.blob.core.windows.net/cameras`.
    ///
    /// * The secondary, a routing choice and a private link are endpoints of the same account, whose name has no hyphen.
    /// * A custom domain is taken for an endpoint in the public cloud if its account is known.
    /// * All names of this machine are one, but an emulator at another port is another.
    pub fn identity(&self) -> String {
        let container = self.container();
        let Ok(url) = Url::parse(self.endpoint()) else { return format!("{}/{container}", self.endpoint()) };
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let port = url.port_or_known_default().unwrap_or_default();
        let primary = |account: &str| account.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let account = self.account().map(primary);
        if is_this_machine(&url) {
            return format!("localhost:{port}/{}/{container}", account.unwrap_or_default());
        }
        let domain = AZURE_DOMAINS.into_iter().find(|domain| host.ends_with(domain));
        match (domain, account) {
            (Some(domain), _) => {
                format!("{}{domain}/{container}", primary(host.split('.').next().unwrap_or_default()))
            }
            (None, Some(account)) if url.path() == "/" => {
                format!("{account}{}/{container}", AZURE_DOMAINS[0])
            }
            (None, account) => format!("{host}:{port}/{}/{container}", account.unwrap_or_default()),
        }
    }
}

fn folder(path: &Path) -> String {
    let absolute = fs::canonicalize(path).or_else(|_| path::absolute(path));
    let mut prefix = absolute.unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    if MAIN_SEPARATOR != '/' {
        prefix = prefix.replace(MAIN_SEPARATOR, "/");
    }
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::location::Environment;

    fn scope(source: &str) -> Scope {
        let none = Environment::of([("", ""); 0]);
        Location::parse(source.as_ref(), Some("media").filter(|_| source.contains("media")), &none)
            .expect("it is a location")
            .scope(true, &Filter::default())
    }

    #[test]
    fn every_way_to_name_a_container_is_the_same() {
        let media = scope("https://media.blob.core.windows.net/cams/a");
        for same in [
            "https://MEDIA.blob.core.windows.net:443/cams/a",
            "https://media-secondary.blob.core.windows.net/cams/a",
            "https://media.privatelink.blob.core.windows.net/cams/a",
            "abfss://cams@media.dfs.core.windows.net/a",
            "az://cams/a?media",
        ] {
            let same = scope(same);
            assert_eq!(same.container, media.container);
        }
        let emulator = scope("http://127.0.0.1:10000/dev/cams");
        assert_eq!(emulator, scope("HTTP://localhost:10000/dev/cams"));
        for other in [
            "http://127.0.0.1:10001/dev/cams",
            "http://127.0.0.1:10000/dev2/cams",
            "http://127.0.0.1:10000/dev/cams2",
            "https://media.blob.core.chinacloudapi.cn/cams",
            "https://cdn.example.com/cams",
        ] {
            let other = scope(other);
            assert!(!other.overlaps(&emulator) && !other.overlaps(&media), "{other:?}");
        }
    }

    #[test]
    fn a_folder_is_within_the_one_above_it() {
        let (all, cam1) = (scope("fixtures/demo"), scope("./fixtures/../fixtures/demo/cam1/"));
        assert!(cam1.is_within(&all) && !all.is_within(&cam1));
        assert_eq!(all.whole_name("cam1/0001.jpg"), cam1.whole_name("0001.jpg"));
        assert!(!scope("fixtures").overlaps(&scope("src")));
    }
}
