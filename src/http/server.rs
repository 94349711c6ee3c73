//! The HTTP server.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};

use super::AppState;
use super::doors::{health_routes, public_routes, routes};
use super::pulse::Pulse;
use super::web::edge::edge;

/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Threads that serve requests. Handlers wait for the database, not for the processor.
const WORKERS: usize = 2;

/// Serves `state` on `listener`, or only its health if it takes no requests; open pages watch the `pulse`. The future that is returned must be awaited or spawned; its handle stops it, letting
/// requests under way finish within the `shutdown` of the settings.
///
/// # Errors
/// The listener cannot be used.
pub fn start(state: web::Data<AppState>, pulse: Pulse, listener: TcpListener) -> std::io::Result<Server> {
    let serves = state.settings.instance.role.serves();
    if !serves {
        return serve(state, pulse, listener, health_routes);
    }
    let origins = state.settings.http.cors_origins.clone();
    serve(state, pulse, listener, move |config| routes(config, &origins))
}

/// Serves only the pages for recipients. As [`start`] otherwise.
///
/// # Errors
/// The listener cannot be used.
pub fn start_public(state: web::Data<AppState>, listener: TcpListener) -> std::io::Result<Server> {
    // Nothing here is watched.
    serve(state, Pulse::default(), listener, public_routes)
}

fn serve(
    state: web::Data<AppState>,
    pulse: Pulse,
    listener: TcpListener,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let shutdown_seconds = state.settings.sending.shutdown_seconds;
    let proxies = web::Data::new(state.settings.http.trusted_proxies.clone());
    let pulse = web::Data::new(pulse);
    let app = move || {
        let app = App::new().app_data(state.clone()).app_data(proxies.clone()).app_data(pulse.clone());
        app.wrap(from_fn(edge)).configure(&routes)
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(Duration::from_secs(2))
        .shutdown_timeout(shutdown_seconds)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}
