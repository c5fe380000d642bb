//! Callers whom Supabase authenticates: a process of the operator, an issuer of tokens, and the table `admin_users`.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Response, apply_roles, create_service_account, send, with_json};
use super::issuer::{KeySetServer, SigningKey};
use crate::environment::{PATIENCE, TestEnvironment, wait_until};
use crate::operator_process::OperatorProcess;
use crate::servers;

const SYNC: &str = "/api/admin/tarana/sync";
const STATUS: &str = "/api/admin/tarana/sync/status";
const ADMIN: Uuid = Uuid::from_u128(0xa);
const INACTIVE: Uuid = Uuid::from_u128(0xb);
/// Whose `is_active` is null.
const UNDECIDED: Uuid = Uuid::from_u128(0xc);
const STRANGER: Uuid = Uuid::from_u128(0xd);

/// An operator, an issuer and their environment.
struct SupabaseTest {
    env: TestEnvironment,
    issuer: KeySetServer,
    url: String,
    operator: OperatorProcess,
    http: reqwest::Client,
}

impl SupabaseTest {
    /// With a connection that is ready. `variables` are those of the operator, beside its addresses.
    async fn start(keys: &[&SigningKey], variables: &[(&str, &str)]) -> Self {
        apply_roles().await;
        let env = TestEnvironment::bare(servers::tcs()).await;
        let users = format!(
            "create table admin_users (id uuid primary key, email text, is_active boolean default true);
             insert into admin_users values ('{ADMIN}', 'ann@example.org', true), ('{INACTIVE}', 'bob@example.org', false),
                 ('{UNDECIDED}', 'eve@example.org', null)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(users))
            .execute(&env.db)
            .await
            .unwrap();
        let issuer = KeySetServer::start(keys).await;
        let address = servers::free_address().to_string();
        let issuer_url = issuer.url();
        let common = [
            ("TARANA_ADMIN_LISTEN", address.as_str()),
            ("TARANA_ADMIN_NAMESPACE", env.namespace.as_str()),
            ("TARANA_SUPABASE_URL", issuer_url.as_str()),
        ];
        let operator = OperatorProcess::start_with(&env, "supabase", &[&common[..], variables].concat());
        let url = format!("http://{address}");
        servers::wait_until_ready(&url).await;
        env.create_secrets_and_connection().await;
        env.ready().await;
        Self {
            env,
            issuer,
            url,
            operator,
            http: reqwest::Client::new(),
        }
    }

    /// The token of a user.
    fn token(&self, key: &SigningKey, user: Uuid) -> String {
        self.token_with(key, user, &json!({}))
    }

    #[expect(clippy::disallowed_methods, reason = "a token is valid now")]
    fn token_with(&self, key: &SigningKey, user: Uuid, changes: &Value) -> String {
        let now = Timestamp::now().as_second();
        let mut claims = json!({"iss": format!("{}/auth/v1", self.issuer.url()), "aud": "authenticated", "sub": user,
            "role": "authenticated", "is_anonymous": false, "email": "ann@example.org", "iat": now, "exp": now + 3600});
        servers::merge(&mut claims, changes.clone());
        key.sign(&claims)
    }

    async fn get(&self, token: &str, path: &str) -> Response {
        send(self.http.get(format!("{}{path}", self.url)).bearer_auth(token)).await
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> Response {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(token);
        send(with_json(request, body)).await
    }

    async fn wait_for_status(&self, token: &str, status: u16) -> Response {
        wait_until(&format!("the admin API responds {status}"), || async {
            let response = self.get(token, STATUS).await;
            (response.status == status).then_some(response)
        })
        .await
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.env.db).await.unwrap();
    }
}

/// Names of the actions that `/api/v1/me` says are allowed.
fn allowed(me: &Value) -> usize {
    let actions = me["actions"].as_array().unwrap().iter();
    actions.filter(|action| action["allowed"] == true).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_creates_runs_that_record_the_user() {
    let key = SigningKey::ec("one");
    let variables = [
        ("TARANA_ADMIN_AUTH", "supabase"),
        ("TARANA_SUPABASE_ROLE", "editor"),
    ];
    let test = SupabaseTest::start(&[&key], &variables).await;
    let namespace = &test.env.namespace;
    let admin = test.token(&key, ADMIN);

    let triggered = test.post(&admin, SYNC, &json!({"dryRun": true})).await;
    assert_eq!(triggered.status, 202, "{triggered:?}");
    let id: Uuid = triggered.json()["sync_log_id"].as_str().unwrap().parse().unwrap();
    let row = wait_until("the run is completed", || async {
        let row = test.get(&admin, &format!("{STATUS}?id={id}")).await.json();
        (row["data"]["status"] == "completed").then_some(row)
    })
    .await;
    assert_eq!(row["data"]["triggered_by"], json!(ADMIN));
    let logged = test
        .env
        .json("select to_jsonb(l) from tarana_sync_logs l where id = $1", id)
        .await;
    assert_eq!(
        (&logged["triggered_by"], &logged["actor"]),
        (
            &json!(ADMIN),
            &json!(format!("supabase:{ADMIN} (ann@example.org)"))
        )
    );

    let me = test.get(&admin, "/api/v1/me").await.json();
    assert_eq!(
        (&me["user"], &me["groups"]),
        (&json!(format!("supabase:{ADMIN} (ann@example.org)")), &json!([]))
    );
    assert_eq!((&me["namespace"], allowed(&me)), (&json!(namespace), 9));
    let elsewhere = test.get(&admin, "/api/v1/me?namespace=kube-system").await.json();
    assert_eq!(allowed(&elsewhere), 0);
    for path in [
        "/api/v1/syncs?namespace=kube-system",
        "/api/v1/connections",
        "/api/v1/events",
    ] {
        let denied = test.get(&admin, path).await;
        assert_eq!(denied.status, 403, "{path}: {denied:?}");
        assert!(denied.text.contains("role editor"), "{denied:?}");
    }
    let events = test
        .get(&admin, &format!("/api/v1/events?namespace={namespace}"))
        .await;
    assert_eq!(events.status, 200);
    let approval = test
        .post(&admin, "/api/v1/syncs", &json!({"approvedDeletes": 1}))
        .await;
    assert_eq!(approval.status, 403, "{approval:?}");
    assert!(
        approval.text.contains("may not approve taranasyncs"),
        "{approval:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_active_users_with_a_valid_token_may_call() {
    let key = SigningKey::rsa("one");
    // A viewer by default.
    let test = SupabaseTest::start(&[&key], &[("TARANA_ADMIN_AUTH", "supabase")]).await;
    let admin = test.token(&key, ADMIN);
    assert_eq!(test.get(&admin, STATUS).await.status, 200);
    let denied = test.post(&admin, SYNC, &json!({})).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    for part in ["ann@example.org", "create taranasyncs", "role viewer"] {
        assert!(denied.text.contains(part), "{denied:?}");
    }
    for (user, part) in [
        (INACTIVE, "not active in admin_users"),
        (UNDECIDED, "not active in admin_users"),
        (STRANGER, "not in admin_users"),
    ] {
        // The e-mail of an active user gives nobody its rights.
        let rejected = test.get(&test.token(&key, user), "/api/v1/me").await;
        assert_eq!(rejected.status, 403, "{rejected:?}");
        assert!(
            rejected.text.contains(part) && rejected.text.contains(&user.to_string()),
            "{rejected:?}"
        );
    }
    invalid_tokens_are_rejected(&test, &key).await;
    assert!(test.issuer.requests() <= 2, "{} requests", test.issuer.requests());
    let log = test.operator.log_text();
    let signature = admin.rsplit('.').next().unwrap();
    assert!(!log.contains(signature), "the log contains a token");
    changes_of_the_table_have_effect(&test, &key, &admin).await;
}

async fn invalid_tokens_are_rejected(test: &SupabaseTest, key: &SigningKey) {
    let account = create_service_account(&test.env, "viewer", &["viewer"]).await;
    let cases = [
        (test.token(&SigningKey::rsa("one"), ADMIN), "signature"),
        (
            test.token_with(key, ADMIN, &json!({"exp": 1_700_000_000})),
            "expired",
        ),
        (
            test.token_with(key, ADMIN, &json!({"aud": "other"})),
            "--supabase-audience",
        ),
        (
            test.token_with(key, ADMIN, &json!({"iss": "https://x.supabase.co/auth/v1"})),
            "--supabase-url",
        ),
        (
            test.token_with(key, ADMIN, &json!({"is_anonymous": true})),
            "anonymous",
        ),
        (
            test.token_with(key, ADMIN, &json!({"role": "service_role"})),
            "role",
        ),
        (account, "no such key"),
        ("nonsense".to_owned(), "not a JWT"),
        ("x".repeat(20_000), "Bearer"),
    ];
    for (token, part) in cases {
        let rejected = test.get(&token, STATUS).await;
        assert_eq!(rejected.status, 401, "{part}: {rejected:?}");
        assert!(rejected.text.contains(part), "{part}: {rejected:?}");
    }
}

async fn changes_of_the_table_have_effect(test: &SupabaseTest, key: &SigningKey, admin: &str) {
    test.execute("update admin_users set is_active = false").await;
    test.wait_for_status(admin, 403).await;
    test.execute("update admin_users set is_active = true").await;
    test.wait_for_status(admin, 200).await;
    a_missing_permission_is_named(test, admin).await;
    test.execute("alter table admin_users rename is_active to is_gone")
        .await;
    let unreadable = test.wait_for_status(admin, 503).await;
    assert!(
        unreadable
            .text
            .contains("admin_users with the columns id (uuid) and is_active"),
        "{unreadable:?}"
    );
    test.execute("drop table admin_users cascade").await;
    let missing = test.get(&test.token(key, STRANGER), STATUS).await;
    assert!(
        missing.status == 503 && missing.text.contains("the table admin_users"),
        "{missing:?}"
    );
}

/// The database role of the operator may not read the users, because the owner of the view that it reads may not.
async fn a_missing_permission_is_named(test: &SupabaseTest, admin: &str) {
    test.execute(
        "do $$ begin create role tarana_unprivileged login password 'hunter2'; exception when duplicate_object then null; end $$;
         alter table admin_users rename to application_users;
         create view admin_users as select * from application_users;
         alter view admin_users owner to tarana_unprivileged",
    )
    .await;
    let denied = test.wait_for_status(admin, 503).await;
    assert!(
        denied
            .text
            .contains("GRANT SELECT (id, is_active) ON admin_users"),
        "{denied:?}"
    );
    test.execute("drop view admin_users; alter table application_users rename to admin_users")
        .await;
    test.wait_for_status(admin, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_user_who_is_deactivated_ends() {
    let key = SigningKey::ec("one");
    let test = SupabaseTest::start(&[&key], &[("TARANA_ADMIN_AUTH", "supabase")]).await;
    let url = format!("{}/api/v1/events?namespace={}", test.url, test.env.namespace);
    let request = test.http.get(url).bearer_auth(test.token(&key, ADMIN));
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some(), "a snapshot");
    test.execute("update admin_users set is_active = false").await;
    let read_to_end = async { while stream.chunk().await.expect("a clean end").is_some() {} };
    tokio::time::timeout(PATIENCE, read_to_end)
        .await
        .expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_an_unreachable_issuer_is_reported() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::rsa("new"));
    let variables = [
        ("TARANA_ADMIN_AUTH", "kubernetes,supabase"),
        ("TARANA_SUPABASE_ROLE", "approver"),
    ];
    let test = SupabaseTest::start(&[&old], &variables).await;
    test.issuer.respond(500, "");
    let admin = test.token(&old, ADMIN);
    let unavailable = test.get(&admin, STATUS).await;
    assert_eq!(unavailable.status, 503, "{unavailable:?}");
    assert!(unavailable.text.contains("answers 500"), "{unavailable:?}");
    assert!(!unavailable.header("retry-after").is_empty());

    // Users of Kubernetes are not affected: Kubernetes still authorizes them.
    let viewer = create_service_account(&test.env, "viewer", &["viewer"]).await;
    assert_eq!(test.get(&viewer, STATUS).await.status, 200);
    assert_eq!(test.post(&viewer, SYNC, &json!({})).await.status, 403);

    test.issuer.serve_keys(&[&old]);
    test.wait_for_status(&admin, 200).await;
    assert_eq!(allowed(&test.get(&admin, "/api/v1/me").await.json()), 10);
    let renewed = test.token(&new, ADMIN);
    assert_eq!(test.get(&renewed, STATUS).await.status, 401);
    test.issuer.serve_keys(&[&old, &new]);
    test.wait_for_status(&renewed, 200).await;
    assert_eq!(test.get(&admin, STATUS).await.status, 200);
    // A token that claims another issuer is for Kubernetes, which rejects it.
    let foreign = test.token_with(&new, ADMIN, &json!({"iss": "https://x.supabase.co/auth/v1"}));
    assert_eq!(test.get(&foreign, STATUS).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_secret_accepts_only_its_own_tokens() {
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("jwt-secret-{}", Uuid::new_v4().simple()));
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    let (key, legacy) = (SigningKey::ec("one"), SigningKey::secret(secret.as_bytes()));
    let variables = [
        ("TARANA_ADMIN_AUTH", "supabase"),
        ("TARANA_SUPABASE_JWT_SECRET_FILE", file.to_str().unwrap()),
        ("TARANA_LOG", "debug"),
    ];
    let test = SupabaseTest::start(&[&key], &variables).await;
    std::fs::remove_file(&file).unwrap();
    let admin = test.token(&legacy, ADMIN);
    assert_eq!(test.get(&admin, STATUS).await.status, 200);
    let nameless = test.token_with(&legacy, ADMIN, &json!({"email": null}));
    assert_eq!(
        test.get(&nameless, "/api/v1/me").await.json()["user"],
        json!(format!("supabase:{ADMIN}"))
    );
    for key in [&key, &SigningKey::secret(b"another secret of thirty-two bytes")] {
        assert_eq!(test.get(&test.token(key, ADMIN), STATUS).await.status, 401);
    }
    assert_eq!(test.issuer.requests(), 0);
    assert!(
        !test.operator.log_text().contains("hunter2"),
        "the log contains the secret"
    );
}
