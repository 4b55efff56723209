//! The HTTP interface of `defib serve`.
//!
//! Theory of operation. Requests are read by a small async runtime, which never waits for
//! the queue or a disk itself: that happens in its blocking threads. Everything that a
//! stranger could make large or slow has a bound: connections, headers, bodies, the time
//! for each. Beyond loopback nobody is served without a token.
//!
//! ```text
//! connection ─► guard (token, host, origin) ─► handler ─blocking thread─► Service
//!                                               └─ events: woken by each change of the job
//! ```

mod artifacts;
mod errors;
mod events;
mod guard;
mod jobs;
mod openapi;
mod status;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use defib_engine::jobs::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;

pub(crate) use guard::Token;

/// Longest header of a request, all lines together, bytes.
const LONGEST_HEADER: usize = 64 << 10;
/// Longest time for a header.
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// Longest time that an answer may wait to be read on.
const UNREAD_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for connections to end when the server does.
const GOODBYE: Duration = Duration::from_secs(2);
/// Between two looks whether jobs are still at work.
const LOOK: Duration = Duration::from_millis(50);

/// How to serve.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Who may; everybody on this machine without one.
    pub(crate) token: Option<Token>,
    /// Largest JSON of a request, bytes.
    pub(crate) max_json: usize,
    /// Largest request, bytes.
    pub(crate) max_upload: usize,
    /// Connections at the same time.
    pub(crate) max_connections: usize,
    /// Time for the jobs at work when it stops.
    pub(crate) stop_grace: Duration,
}

/// What every handler has.
#[derive(Debug, Clone)]
struct App {
    service: Arc<Service>,
    wakes: events::Wakes,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    max_json: usize,
}

impl App {
    /// Does something that may wait for a disk.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Service) -> Result<T, errors::ApiError> + Send + 'static,
    ) -> Result<T, errors::ApiError> {
        let service = self.service.clone();
        tokio::task::spawn_blocking(move || ask(&service)).await.map_err(|_| errors::ApiError::broken())?
    }
}

/// Serves until a signal ends it; `listening` hears the address. Jobs that are at work when
/// it ends had the grace to finish.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn serve(
    service: &Arc<Service>,
    options: Options,
    listening: impl FnOnce(SocketAddr) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("defib-web")
        .enable_all()
        .build()
        .context("cannot start the web server's threads")?;
    let served = runtime.block_on(run(service, options, listening));
    // A handler that hangs in a disk must not hold up the end.
    runtime.shutdown_timeout(GOODBYE);
    served
}

fn router(app: App, options: &Options) -> Router {
    let guard = guard::Guard { token: options.token.clone() };
    Router::new()
        .route("/v1/jobs", post(jobs::submit).get(jobs::list))
        .route("/v1/jobs/{id}", get(jobs::get).delete(jobs::cancel))
        .route("/v1/jobs/{id}/events", get(events::events))
        .route("/v1/jobs/{id}/replay", post(jobs::replay))
        .route("/v1/artifacts/{sha256}", get(artifacts::get))
        .route("/v1/backends", get(status::backends))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(openapi::get))
        .route("/healthz", get(status::health))
        .fallback(errors::no_such_path)
        .method_not_allowed_fallback(errors::wrong_method)
        .layer(DefaultBodyLimit::max(options.max_upload))
        .layer(axum::middleware::from_fn_with_state(guard, guard::check))
        .with_state(app)
}

async fn run(
    service: &Arc<Service>,
    options: Options,
    listening: impl FnOnce(SocketAddr) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wakes = events::Wakes::default();
    let heard = wakes.clone();
    service.on_change(move |job| heard.wake(job));
    let app = App { service: service.clone(), wakes, limits: Limits { max_json: options.max_json } };
    let mut stop = StopSignals::new()?;
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!("cannot listen on {}; `listen` under [server] names another address", options.listen)
    })?;
    listening(listener.local_addr()?)?;
    let router = router(app, &options);
    let connections = Arc::new(Semaphore::new(options.max_connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut leaving = std::pin::pin!(leave(service, &mut stop, options.stop_grace));
    loop {
        let accepted = tokio::select! {
            () = &mut leaving => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADER_WITHIN).max_buf_size(LONGEST_HEADER);
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away is nothing to tell of.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GOODBYE, graceful.shutdown()).await;
    Ok(())
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small, and the next question waits for them.
            let _ = stream.set_nodelay(true);
            // One who stops reading in the middle of an answer does not keep it for ever.
            let _ = set_tcp_user_timeout(&stream, u32::try_from(UNREAD_WITHIN.as_millis()).unwrap_or(u32::MAX));
            Some((stream, permit))
        }
        Err(_) => {
            // Out of descriptors, most likely: it passes when connections end.
            tokio::time::sleep(LOOK).await;
            None
        }
    }
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot hear signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// From the first signal on nothing new is taken; answers are given until the jobs at work
/// are done, the grace is over, or a second signal comes.
async fn leave(service: &Service, stop: &mut StopSignals, grace: Duration) {
    stop.next().await;
    service.leave();
    let finished = async {
        while service.at_work() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = tokio::time::sleep(grace) => {}
        () = stop.next() => {}
    }
}
