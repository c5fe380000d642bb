//! The pages over HTTP: sessions, permissions, protection against forged requests, assets.

use std::collections::HashMap;

use serde_json::json;

use super::client::AdminClient;
use super::page_client::{
    APPROVE, BASE_STATIONS, Browser, CANCEL, CONNECTIONS, LIVE, MAP, MAP_TILES, ME, RERUN, RESUME,
    RUN_SCHEDULE, RUNS, SCHEDULES, SIGN_IN, SIGN_OUT, SUSPEND, SYNC, form, read,
};
use crate::environment::{TestEnvironment, wait_until};
use crate::servers;

/// Pages, and their statuses without a session, as a viewer, and as a user without roles.
const PAGES: [(&str, [u16; 3]); 34] = [
    ("/", [303, 303, 303]),
    ("/admin", [303, 303, 303]),
    ("/admin/", [303, 303, 303]),
    (BASE_STATIONS, [303, 200, 403]),
    (LIVE, [303, 200, 403]),
    (SYNC, [303, 403, 403]),
    (CANCEL, [405, 405, 405]),
    ("/admin/coverage/base-stations/NONE", [303, 404, 403]),
    (MAP, [303, 200, 403]),
    ("/admin/coverage/map?zoom=3&lat=-26&lng=28", [303, 200, 403]),
    ("/admin/coverage/map?zoom=3", [303, 400, 400]),
    (MAP_TILES, [303, 404, 404]),
    (RUNS, [303, 200, 403]),
    ("/admin/coverage/newer-runs", [303, 200, 403]),
    (
        "/admin/coverage/runs/00000000-0000-0000-0000-000000000000",
        [303, 404, 404],
    ),
    ("/admin/coverage/runs/nothing", [303, 400, 400]),
    ("/admin/coverage/runs?cursor=nothing", [303, 400, 403]),
    ("/admin/coverage/runs?endedFrom=nothing", [303, 400, 400]),
    ("/admin/coverage/runs?endedTo=1960-01-01", [303, 400, 403]),
    (RERUN, [405, 405, 405]),
    (APPROVE, [405, 405, 405]),
    (SCHEDULES, [303, 200, 403]),
    ("/admin/coverage/schedules?connection=none", [303, 200, 403]),
    (RUN_SCHEDULE, [405, 405, 405]),
    (SUSPEND, [405, 405, 405]),
    (RESUME, [405, 405, 405]),
    ("/admin/coverage/sync?schedule=none", [303, 403, 403]),
    (CONNECTIONS, [303, 200, 403]),
    ("/admin/coverage/connections?cursor=nothing", [303, 400, 403]),
    (ME, [303, 200, 200]),
    ("/admin/coverage/nothing", [404, 404, 404]),
    (SIGN_IN, [200, 303, 303]),
    (SIGN_OUT, [303, 303, 303]),
    ("/admin/nothing", [404, 404, 404]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_requires_a_session_and_the_permission() {
    let admin = AdminClient::with_connection().await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let nobody = Browser::signed_in(&admin, &admin.no_roles).await;
    let signed_out = Browser::new(&admin);
    for (path, expected) in PAGES {
        let statuses = [
            signed_out.get(path).await.status,
            viewer.get(path).await.status,
            nobody.get(path).await.status,
        ];
        assert_eq!(statuses, expected, "{path}");
    }
    let denied = nobody.get(BASE_STATIONS).await.text;
    let permission = format!(
        "may not get taranaconnections.tarana.dev in namespace {}",
        admin.env.namespace
    );
    assert!(denied.contains(&permission), "{denied}");
    let redirect = signed_out.get(&format!("{BASE_STATIONS}?connection=x")).await;
    let to = "/admin/sign-in?to=%2Fadmin%2Fcoverage%2Fbase%2Dstations%3Fconnection%3Dx";
    assert_eq!(redirect.header("location"), to);
    // A token is for the API only, and a damaged cookie is no session.
    let by_token = signed_out
        .request("GET", BASE_STATIONS)
        .bearer_auth(&admin.viewer);
    assert_eq!(read(by_token).await.status, 303);
    let damaged = signed_out
        .request("GET", BASE_STATIONS)
        .header("cookie", "__Host-tarana-session=x");
    assert_eq!(read(damaged).await.status, 303);
    let part = signed_out
        .request("GET", BASE_STATIONS)
        .header("hx-request", "true");
    let part = read(part).await;
    assert_eq!((part.status, part.header("hx-redirect")), (401, SIGN_IN));
    assert_eq!(viewer.get(&format!("{BASE_STATIONS}?x=1")).await.status, 400);
    let missing = viewer
        .get(&format!("{BASE_STATIONS}?connection=%3Cscript%3E"))
        .await;
    assert!(!missing.text.contains("<script>"), "{missing:?}");
    assert!([403, 404].contains(&missing.status), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_rejects_what_it_does_not_know() {
    let admin = AdminClient::with_connection().await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let cases = [
        ("sort=id", "unknown variant"),
        ("order=up", "unknown variant"),
        ("limit=0", "must be a number from 1 to 1000"),
        ("limit=1001", "must be a number from 1 to 1000"),
        ("offset=-1", "offset: must be at least 0"),
        ("online=1", "online"),
        ("search=%00", "market, region: must have at most 200"),
        ("cursor=x", "unknown field"),
        ("market=a&market=b", "duplicate field"),
    ];
    for (query, message) in cases {
        for path in [BASE_STATIONS, "/admin/coverage/base-stations/NONE"] {
            // The page of a station does not read the filter.
            if path != BASE_STATIONS && query.contains("%00") {
                continue;
            }
            let page = viewer.get(&format!("{path}?{query}")).await;
            assert_eq!(page.status, 400, "{path}?{query}: {page:?}");
            assert!(page.text.contains(message), "{path}?{query}: {page:?}");
        }
    }
    // A form sends all of its fields.
    let empty = viewer
        .get(&format!("{BASE_STATIONS}?search=&market=&online=true"))
        .await;
    let without_empty = format!("{BASE_STATIONS}?online=true");
    assert_eq!(
        (empty.status, empty.header("location")),
        (303, without_empty.as_str())
    );
    // htmx replaces the table only, and the whole content if that is not possible.
    let part = async |query: &str| {
        let request = viewer.request("GET", &format!("{BASE_STATIONS}{query}"));
        let request = request.header("hx-request", "true");
        read(request.header("hx-target", "div#station-table")).await
    };
    let table = part("").await;
    assert_eq!(table.status, 200);
    assert!(
        table.text.starts_with("<div class=\"station-table\""),
        "{table:?}"
    );
    assert!(table.text.contains("The table has no stations yet"), "{table:?}");
    let problem = part("?limit=0").await;
    assert_eq!((problem.status, problem.header("hx-retarget")), (400, "#content"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_and_ends_only_from_its_own_page() {
    let admin = AdminClient::with_connection().await;
    let browser = Browser::signed_in(&admin, &admin.viewer).await;
    let csrf_token = browser.csrf_token().await;
    let other = Browser::signed_in(&admin, &admin.viewer).await.csrf_token().await;
    for fields in [&[][..], &[("csrf_token", "wrong")], &[("csrf_token", &other)]] {
        let response = browser.post(SIGN_OUT, fields).await;
        assert_eq!(response.status, 403, "{fields:?}: {response:?}");
    }
    let fields = [("csrf_token", csrf_token.as_str())];
    let foreign = form(browser.request("POST", SIGN_OUT), &fields).header("sec-fetch-site", "cross-site");
    assert_eq!(read(foreign).await.status, 403);
    assert_eq!(browser.get(BASE_STATIONS).await.status, 200);
    let ended = browser.post(SIGN_OUT, &fields).await;
    assert_eq!((ended.status, ended.header("location")), (303, SIGN_IN));
    assert!(ended.header("set-cookie").contains("Max-Age=0"), "{ended:?}");
    assert_eq!(browser.get(BASE_STATIONS).await.status, 303);
    assert_eq!(browser.post(SIGN_OUT, &fields).await.status, 303);

    let fields = [("token", admin.viewer.as_str())];
    let foreign = form(browser.request("POST", SIGN_IN), &fields).header("sec-fetch-site", "cross-site");
    assert_eq!(read(foreign).await.status, 403);
    for (token, status) in [("rubbish", 401), ("", 400), (&"x".repeat(3000), 400)] {
        let response = browser.post(SIGN_IN, &[("token", token)]).await;
        assert_eq!(response.status, status, "{response:?}");
        assert!(token.is_empty() || !response.text.contains(token), "{response:?}");
    }
    assert_eq!(browser.post(SIGN_IN, &[("x", "y")]).await.status, 400);
    assert_eq!(
        browser
            .post(SIGN_IN, &[("token", &"x".repeat(40_000))])
            .await
            .status,
        413
    );
    for to in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/admin/sign-out",
    ] {
        let response = browser
            .post(SIGN_IN, &[("token", &admin.viewer), ("to", to)])
            .await;
        assert_eq!(response.header("location"), BASE_STATIONS, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_served_to_everybody_and_kept_by_browsers() {
    let admin = AdminClient::start().await;
    let browser = Browser::new(&admin);
    let page = browser.get(SIGN_IN).await.text;
    let paths: Vec<&str> = page
        .split('"')
        .filter(|text| text.starts_with("/admin/assets/"))
        .collect();
    let types: HashMap<&str, &str> = [
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("svg", "image/svg+xml"),
        ("txt", "text/plain; charset=utf-8"),
    ]
    .into();
    assert!(paths.len() >= 5, "{page}");
    for path in paths {
        let plain = browser.get(path).await;
        assert_eq!(plain.status, 200, "{path}");
        assert_eq!(
            plain.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(
            plain.header("content-type"),
            types[path.rsplit('.').next().unwrap()]
        );
        assert_eq!(plain.header("content-encoding"), "");
        let gzip = browser
            .request("GET", path)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(gzip.headers()["content-encoding"], "gzip");
        let bytes = gzip.bytes().await.unwrap();
        assert!(
            bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < plain.text.len() + 40,
            "{path}"
        );
        let head = read(browser.request("HEAD", path)).await;
        assert_eq!((head.status, head.text.len()), (200, 0));
        assert_eq!(head.header("content-length"), plain.text.len().to_string());
    }
    for missing in [
        "/admin/assets/page.css",
        "/admin/assets/",
        "/admin/assets/..%2f..%2fetc%2fpasswd",
    ] {
        assert_eq!(browser.get(missing).await.status, 404, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_what_is_unavailable_or_not_enabled() {
    let admin = AdminClient::start().await;
    // Its Secrets are missing.
    admin.env.connection("default", json!({})).await;
    let browser = Browser::signed_in(&admin, &admin.viewer).await;
    let page = wait_until("the connection is cached", || async {
        let page = browser.get(BASE_STATIONS).await;
        (page.status != 404).then_some(page)
    })
    .await;
    assert_eq!((page.status, page.header("retry-after")), (503, "5"), "{page:?}");
    assert!(
        page.text.contains("The database cannot be used: SecretNotFound"),
        "{page:?}"
    );
    assert!(page.text.contains("Sign out"), "{page:?}");
    let filtered = browser
        .get(&format!("{BASE_STATIONS}?search=%26&online=true"))
        .await;
    let link = format!("href=\"{BASE_STATIONS}?search=%26&#38;online=true\">Try again");
    assert!(filtered.text.contains(&link), "{filtered:?}");

    let env = TestEnvironment::bare(servers::tcs()).await;
    let admin = AdminClient::start_configured(env, |config| config.auth.sessions = None).await;
    let browser = Browser::new(&admin);
    for path in [SIGN_IN, BASE_STATIONS] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404);
        assert!(page.text.contains("--admin-session-key-file"), "{page:?}");
    }
}
