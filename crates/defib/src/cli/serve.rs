//! `defib serve`: do jobs for programs that hand them in over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use defib_core::units;
use defib_engine::jobs::{Service, Settings};
use defib_engine::orphans;
use defib_store::State;

use super::{own_binary, state};
use crate::config::{self, Config};
use crate::present;
use crate::server_file::ServerFile;
use crate::web::{self, Options, Token};

/// Where it listens unless the configuration says otherwise.
const LISTEN: &str = "127.0.0.1:8808";
/// Environment variable of the token.
pub(super) const TOKEN: &str = "DEFIB_TOKEN";

/// Do jobs for programs that hand them in over HTTP
///
/// Reads backends and routes from defib.toml. A job is accepted once it is on disk, and
/// ends in exactly one result or one explained failure. SIGTERM or Ctrl+C takes no more
/// jobs, lets those at work finish (stop_grace), and hands the rest back to the queue; a
/// second one does so at once. Without a token it listens on loopback only.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Configuration [default: defib.toml]
    #[arg(long, value_name = "FILE", env = "DEFIB_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8808]
    #[arg(long, value_name = "ADDRESS:PORT", env = "DEFIB_LISTEN")]
    listen: Option<String>,
    /// Say nothing but what is wrong at the start
    #[arg(short, long)]
    quiet: bool,
}

/// The configuration for jobs, and the settings it makes.
pub(super) fn configured(file: Option<&Path>, state: &State) -> anyhow::Result<(Config, Settings, PathBuf)> {
    let file = file.unwrap_or(Path::new("defib.toml"));
    let (config, base) = config::load_file(file)?;
    let settings = config::jobs::settings(&config, &base, state).with_context(|| format!("in {}", file.display()))?;
    Ok((config, settings, base))
}

impl Serve {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let (config, settings, base) = configured(self.config.as_deref(), &state)?;
        let options = self.options(&config, &base)?;
        if let Some(other) = ServerFile::live(state.root()) {
            bail!(
                "a server works in this state folder already (pid {}, {}); stop that one, or give this one its own \
                 folder with DEFIB_STATE",
                other.pid,
                other.url
            );
        }
        // What an earlier server left would hold memory and ports that the workers need.
        let quiet = self.quiet;
        let tell = move |text: &str| {
            if !quiet {
                present::say(text);
            }
        };
        let swept = orphans::sweep(&state, &own_binary()?);
        if !swept.ended.is_empty() {
            tell(&present::orphans::swept_line("ended", &swept.ended));
        }
        let routes: Vec<String> =
            settings.routes.iter().map(|route| format!("{} ({})", route.name, route.backends.join(", "))).collect();
        let service = Arc::new(Service::start(settings, state.clone(), Arc::new(tell))?);
        let mut file = None;
        let served = web::serve(&service, options, |address| {
            file = Some(ServerFile::write(state.root(), &address)?);
            tell(&format!("listening on http://{address}, routes: {}", routes.join(", ")));
            Ok(())
        });
        drop(file);
        let left = service.at_work();
        service.stop(Duration::ZERO, &|| true);
        if left > 0 {
            tell(&format!("{left} jobs were not done in time and are queued again"));
        }
        served.map(|()| ExitCode::SUCCESS)
    }

    fn options(&self, config: &Config, base: &Path) -> anyhow::Result<Options> {
        let server = &config.server;
        let listen = self.listen.as_ref().or(server.listen.as_ref()).map_or(LISTEN, String::as_str);
        let listen: SocketAddr = match listen.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => listen.parse(),
        }
        .with_context(|| format!("listen: {listen:?} is no address and port, like {LISTEN}"))?;
        let token = token(server.token_file.as_deref(), base)?;
        if token.is_none() && !listen.ip().is_loopback() {
            bail!(
                "{listen} can be reached by others, and there is no token: set token_file under [server], or {TOKEN}, \
                 or listen on 127.0.0.1"
            );
        }
        let size = |text: &Option<String>, name: &str, usual: usize| -> anyhow::Result<usize> {
            let Some(text) = text else { return Ok(usual) };
            let bytes = units::size(text).map_err(|error| anyhow!("{name} under [server]: {error}"))?;
            Ok(usize::try_from(bytes)?)
        };
        let stop_grace = match &server.stop_grace {
            Some(text) => units::duration(text).map_err(|error| anyhow!("stop_grace under [server]: {error}"))?,
            None => Duration::from_secs(30),
        };
        Ok(Options {
            listen,
            token,
            max_json: size(&server.max_json, "max_json", 8 << 20)?,
            max_upload: size(&server.max_upload, "max_upload", 2 << 30)?,
            max_connections: server.max_connections.unwrap_or(512),
            stop_grace,
        })
    }
}

/// The token, from the environment or a file.
fn token(file: Option<&Path>, base: &Path) -> anyhow::Result<Option<Token>> {
    if let Ok(text) = std::env::var(TOKEN) {
        return Ok(Some(Token::new(&text).with_context(|| format!("{TOKEN} is empty; unset it, or give it a token"))?));
    }
    let Some(file) = file else { return Ok(None) };
    let file = base.join(file);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("token_file under [server]: cannot read {}", file.display()))?;
    Ok(Some(Token::new(&text).with_context(|| format!("token_file: {} is empty", file.display()))?))
}
