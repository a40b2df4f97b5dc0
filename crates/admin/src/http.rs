//! Health and metrics over HTTP: `/healthz`, `/readyz`, `/metrics`. No gate, no log line, no ban.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::guests;
use crate::metrics::{self, Identity};
use crate::running::{Running, why_not_ready};

/// How long a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How large the head of a request may be; bodies are not read at all.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How many lines it may have.
const HEADERS_MAX: usize = 64;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// Whoever keeps these answers tells yesterday's truth.
const FRESH: HeaderValue = HeaderValue::from_static("no-store");

const INDEX: &str = "tidegate\n\n\
    /healthz   200 while the process is alive\n\
    /readyz    200 while a newcomer finds a place, else 503: draining, overloaded or full\n\
    /metrics   what is counted, as OpenMetrics\n";

#[derive(Clone)]
struct Pages {
    running: Arc<dyn Running>,
    identity: Arc<Identity>,
}

/// Answers on `listener` until `stop`. One request a connection: 64 of them at a time, a newcomer takes the place of the oldest.
pub(crate) async fn serve(
    listener: TcpListener,
    running: Arc<dyn Running>,
    identity: Identity,
    stop: CancellationToken,
) {
    let pages = Pages { running, identity: Arc::new(identity) };
    let router = Router::new()
        .route("/", get(index))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(measure))
        .fallback(nowhere)
        .with_state(pages);
    guests::receive(listener, stop, |stream| answer(stream, router.clone())).await;
}

async fn answer(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whoever does not speak HTTP, or goes away, has had an answer as good as it gets.
    let _ = served.await;
}

async fn index() -> Response {
    text(StatusCode::OK, INDEX)
}

async fn health() -> Response {
    text(StatusCode::OK, "ok")
}

async fn readiness(State(pages): State<Pages>) -> Response {
    if pages.running.is_ready() {
        return text(StatusCode::OK, "ready");
    }
    // It may have become ready in between.
    match why_not_ready(&pages.running.snapshot()) {
        None => text(StatusCode::OK, "ready"),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

async fn measure(State(pages): State<Pages>) -> Response {
    match metrics::encode(pages.running.snapshot(), &pages.identity) {
        Ok(body) => ([(CONTENT_TYPE, OPENMETRICS), (CACHE_CONTROL, FRESH)], body).into_response(),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "cannot write the metrics"),
    }
}

async fn nowhere() -> Response {
    text(StatusCode::NOT_FOUND, "no such page: there are /, /healthz, /readyz and /metrics")
}

fn text(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, FRESH)], body).into_response()
}

#[cfg(test)]
mod tests;
