//! The window, which shows the program's own pages and no others: whatever a page wants, by a link, a script, a form
//! or a dropped file, it leads nowhere else, and no second window opens.

use tauri::{App, Url, WebviewWindowBuilder, webview::NewWindowResponse};

/// A proxy that is none: nobody serves the reserved port 1 of this machine.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Opens the window that tauri.conf.json describes.
pub fn open_window(app: &App) -> Result<(), Box<dyn std::error::Error>> {
    let nowhere = Url::parse(NOWHERE)?;
    let development = tauri::is_dev().then(|| app.config().build.dev_url.clone()).flatten();
    for config in &app.config().app.windows {
        let mut window = WebviewWindowBuilder::from_config(app, config)?;
        if development.is_none() {
            // The page needs no network at all, and what its policy does not cover (connecting ahead, looking names
            // up) ends at a port where nobody is. One in development comes from a server.
            window = window.proxy_url(nowhere.clone());
        }
        let development = development.clone();
        window
            .on_navigation(move |url| is_own(url, development.as_ref()))
            .on_new_window(|_, _| NewWindowResponse::Deny)
            .build()?;
    }
    Ok(())
}

/// Whether an address is one of the program's own pages: by Tauri's own scheme, which Windows and Android know only
/// as a host, or from the development server, in a build that takes its pages from there.
fn is_own(url: &Url, development: Option<&Url>) -> bool {
    let of_tauri = match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" => {
            cfg!(any(windows, target_os = "android"))
                && url.host_str() == Some("tauri.localhost")
                && url.port().is_none()
        }
        _ => false,
    };
    // Other files of the program are no pages: what is not HTML is answered without the page's policy.
    let is_page = matches!(url.path(), "" | "/" | "/index.html");
    (of_tauri && is_page) || development.is_some_and(|server| server.origin() == url.origin())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_programs_own_pages_are_gone_to() {
        let url = |text: &str| Url::parse(text).unwrap();
        let own = if cfg!(windows) { "http://tauri.localhost/" } else { "tauri://localhost/index.html" };
        assert!(is_own(&url(own), None) && is_own(&url(own.trim_end_matches("/index.html")), None));
        for other in [
            "http://127.0.0.1:8080/",
            "http://localhost:5173/",
            "https://tauri.localhost.evil.example/",
            "tauri://evil.example/",
            "tauri://localhost/assets/index.js",
            "tauri://localhost/icon.svg",
            "file:///etc/passwd",
            "data:text/html,x",
            "about:blank",
            "blob:tauri://localhost/x",
            "javascript:alert(1)",
        ] {
            assert!(!is_own(&url(other), None), "{other}");
        }
        let server = url("http://localhost:5173");
        assert!(is_own(&url("http://localhost:5173/x"), Some(&server)));
        assert!(!is_own(&url("http://localhost:5174/x"), Some(&server)));
        assert!(!is_own(&url("file:///x"), Some(&server)));
    }
}
