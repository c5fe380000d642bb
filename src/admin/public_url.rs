//! The URL at which callers reach the admin API.

use super::base_url;

/// Base of all links: the URL of the Ingress, gateway or proxy in front of the admin API. Without it, links begin with a slash and are
/// relative to the host of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at the end.
    base: String,
}

/// Why a public URL is rejected.
#[derive(Debug, thiserror::Error)]
#[error("--admin-public-url {0}: write it like https://tarana.example.org")]
pub struct InvalidPublicUrl(String);

impl PublicUrl {
    /// Parses an absolute URL, which may have a path that the proxy removes.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = base_url::parse(text).map_err(InvalidPublicUrl)?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(InvalidPublicUrl("must begin with https:// or http://".to_owned()));
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base })
    }

    /// The link to a path, which begins with a slash.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL; `None` if it is unknown.
    pub fn base(&self) -> Option<&str> {
        (!self.base.is_empty()).then_some(self.base.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_public_url() {
        for (url, link) in [
            ("https://tarana.example.org", "https://tarana.example.org/a"),
            (" https://example.org/tarana/ ", "https://example.org/tarana/a"),
            ("http://localhost:8080/", "http://localhost:8080/a"),
        ] {
            assert_eq!(PublicUrl::parse(url).unwrap().link("/a"), link);
        }
        assert_eq!(PublicUrl::default().link("/a"), "/a");
        assert_eq!(PublicUrl::default().base(), None);
    }

    #[test]
    fn an_invalid_url_is_rejected_without_its_text() {
        for (url, problem) in [
            ("tarana.example.org", "is not a URL"),
            ("ftp://example.org", "https://"),
            ("https://", "is not a URL"),
            ("https://me:hunter2@example.org", "user or password"),
            ("https://example.org/?a=b", "`?`"),
            ("https://example.org/#a", "`#`"),
        ] {
            let message = PublicUrl::parse(url).unwrap_err().to_string();
            assert!(message.contains(problem), "{url}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
