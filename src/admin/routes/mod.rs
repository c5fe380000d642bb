//! The routes. Each module has its own, and says of each what it needs, takes and answers.

pub mod books;
pub mod connections;
pub mod health;
pub mod old;
pub mod schedules;
pub mod stations;
pub mod syncs;

use axum::Json;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use super::App;
use super::problem::{Problem, ProblemDetails};

/// What any of the routes may answer instead.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "stands in the document alone")]
pub enum Refusals {
    /// What was asked makes no sense.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDetails),
    /// There is no token, or it is nobody's.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDetails),
    /// The caller lacks the right, which is named.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDetails),
    /// There is none, or none that the caller may see.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDetails),
    /// What is needed is away: the Kubernetes API or a database.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
}

/// What a change may be answered with besides.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "stands in the document alone")]
pub enum Changes {
    /// It is not the time for it.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemDetails),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemDetails),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(ProblemDetails),
    /// It was understood, and cannot be.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemDetails),
    /// Too many of the same caller.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemDetails),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tarana-operator",
        description = "Syncs of a wireless network's base stations, over HTTP: the same objects that kubectl shows.\n\nWhoever calls sends a bearer token of Kubernetes; what it may do is asked of Kubernetes, for the verb, resource and namespace that each route names.",
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// All routes with their document.
pub fn all() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(syncs::router())
        .merge(books::router())
        .merge(stations::router())
        .merge(schedules::router())
        .merge(connections::router())
        .merge(old::router())
        .merge(health::router())
}

/// The same, ready to be served, with the document itself and what there is not.
pub fn served() -> axum::Router<App> {
    let (router, document) = all().split_for_parts();
    let document = async || Json(document);
    router
        .route("/openapi.json", get(document))
        .fallback(async || Problem::NotFound("there is no such route: see /openapi.json".to_owned()))
        .method_not_allowed_fallback(async || {
            let known = "this route knows other methods: see /openapi.json".to_owned();
            (
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                Problem::NotFound(known),
            )
        })
}
