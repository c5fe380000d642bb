//! The routes. Each module documents the permission, parameters and responses of its own.

mod attempts;
mod audit;
mod cloudevents;
mod connections;
mod debug;
mod errors;
mod events;
mod exports;
mod health;
mod legacy;
mod me;
mod schedules;
mod session;
mod slots;
mod stations;
mod sync_changes;
mod syncs;
mod timeline;

use axum::Json;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use super::auth::SESSION_COOKIE;
use super::problem::Problem;
use super::public_url::PublicUrl;
use super::state::SharedState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tarana-operator",
        description = "Syncs of a wireless network's base stations over HTTP: the same objects that kubectl shows.\n\nCallers send a Kubernetes bearer token, or the access token of a Supabase user if the operator is configured for it. Each route names the verb, resource and namespace that it requires. Kubernetes authorizes its users; Supabase users have one configured role in the default namespace.",
    ),
    modifiers(&SecuritySchemes),
    security(("bearer" = []), ("session" = [])),
)]
struct Document;

struct SecuritySchemes;

impl utoipa::Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            SESSION_COOKIE,
            "A browser session: POST /api/v1/session sets it. Changes also need X-CSRF-Token and Sec-Fetch-Site: same-origin.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The `OpenAPI` document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented_routes().to_openapi()
}

/// All routes with their document.
fn documented_routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(syncs::router())
        .merge(sync_changes::router())
        .merge(cloudevents::router())
        .merge(audit::router())
        .merge(attempts::router())
        .merge(stations::router())
        .merge(exports::router())
        .merge(schedules::router())
        .merge(slots::router())
        .merge(session::router())
        .merge(connections::router())
        .merge(timeline::router())
        .merge(events::router())
        .merge(me::router())
        .merge(legacy::router())
        .merge(health::router())
}

/// All routes, the `OpenAPI` document, and the responses for unknown paths and methods.
pub fn service(public_url: &PublicUrl) -> axum::Router<SharedState> {
    let (router, mut document) = documented_routes().split_for_parts();
    document.servers = public_url.base().map(|url| vec![Server::new(url)]);
    let document = async || Json(document);
    router
        .route("/openapi.json", get(document))
        .route(debug::PATH, get(debug::state))
        .fallback(async || Problem::NotFound("there is no such route: see /openapi.json".to_owned()))
        .method_not_allowed_fallback(async || {
            Problem::MethodNotAllowed("the route accepts the methods in the Allow header".to_owned())
        })
}
