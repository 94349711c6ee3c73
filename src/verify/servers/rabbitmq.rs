//! A private RabbitMQ: node name, ports and folder of its own, so that it meets no other node of the machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Home, User, Watchdog, folder_with, wait};
use crate::verify::VerifyError;
use crate::verify::ports::free_port;

/// The header with which a client opens AMQP 0-9-1.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A broker of one's own. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct RabbitMq {
    program: PathBuf,
    port: u16,
    /// The ports of Erlang's name server, also of this broker alone, and of the node.
    erlang: (u16, u16),
    node: Mutex<Option<Child>>,
    _watchdog: Watchdog,
    home: Home,
}

impl RabbitMq {
    /// Makes and starts a broker. Blocks for some seconds.
    ///
    /// # Errors
    /// [`VerifyError::Absent`] when the machine has no RabbitMQ.
    pub fn start() -> Result<Self, VerifyError> {
        let absent = || VerifyError::Absent("no RabbitMQ found (package `rabbitmq-server`)".to_owned());
        let program = find().ok_or_else(absent)?;
        let home = Home::make("volley-mq-", User::unprivileged(&["rabbitmq", "nobody"])?)?;
        let erlang = (free_port(), free_port());
        // The whole group of processes, in the words of POSIX: dash takes `--` after `-s`, not after `-9`. The name server is
        // a daemon of its own, and stays until it has missed the node.
        let stop = "kill -s KILL -- \"-$(cat \"$0/group\")\"; \
                    for _ in 1 2 3 4 5 6 7 8 9; do epmd -port \"$1\" -kill && break; sleep 0.3; done";
        let watchdog = home.watchdog(stop, &[erlang.0.to_string().as_ref()])?;
        let broker = Self { program, port: free_port(), erlang, node: Mutex::new(None), _watchdog: watchdog, home };
        let settings = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\ndisk_free_limit.absolute = 50MB\nlog.console = false\n",
            broker.port
        );
        for (file, text) in [("rabbitmq.conf", settings.as_str()), ("plugins", "[].\n")] {
            std::fs::write(broker.home.path(file), text).map_err(VerifyError::io("write RabbitMQ's settings"))?;
        }
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts the broker after a stop, and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&self) -> Result<(), VerifyError> {
        let mut command = self.command(&self.program);
        // A broker that waits by spinning would take the processor from what is looked at.
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none").process_group(0);
        let node = command.spawn().map_err(VerifyError::io("start RabbitMQ"))?;
        std::fs::write(self.home.path("group"), node.id().to_string())
            .map_err(VerifyError::io("write down RabbitMQ's process"))?;
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        wait("RabbitMQ", || self.answers())
    }

    /// Runs `rabbitmqctl` on this broker.
    ///
    /// # Errors
    /// It does not run, or says no.
    pub fn control(&self, order: &[&str]) -> Result<(), VerifyError> {
        let program = self.program.with_file_name("rabbitmqctl");
        let mut command = self.command(&program);
        command.args(order);
        self.home.finish("rabbitmqctl", command)
    }

    /// A program of RabbitMQ's, in the surroundings of this broker.
    fn command(&self, program: &Path) -> Command {
        let home = &self.home;
        let mut command = home.command(program);
        let folders = [
            ("HOME", "."),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_CONFIG_FILES", "conf.d"),
            ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_PID_FILE", "pid"),
        ];
        command.envs(folders.map(|(name, path)| (name, home.path(path))));
        command
            .env("RABBITMQ_NODENAME", format!("volley-{}@localhost", self.port))
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.erlang.1.to_string())
            .env("ERL_EPMD_PORT", self.erlang.0.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // The name server may be ended though it has not noticed yet that the node is gone.
            .env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1");
        command
    }

    /// Kills the broker in mid-flight.
    pub fn kill(&self) {
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut node) = node else { return };
        if let Some(group) = i32::try_from(node.id()).ok().and_then(Pid::from_raw) {
            let _already_gone = kill_process_group(group, Signal::KILL);
        }
        let _ended = node.wait();
    }

    /// The broker's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it offers to talk.
    #[must_use]
    pub fn answers(&self) -> bool {
        let talk = || -> std::io::Result<[u8; 1]> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(HELLO)?;
            let mut frame = [0];
            stream.read_exact(&mut frame)?;
            Ok(frame)
        };
        // A method frame: connection.start.
        talk().is_ok_and(|frame| frame == [1])
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian's program on the `PATH` insists on being root or a certain user; the one behind it does not.
fn find() -> Option<PathBuf> {
    let name = "rabbitmq-server";
    let debian = PathBuf::from("/usr/lib/rabbitmq/bin").join(name);
    if debian.is_file() {
        return Some(debian);
    }
    folder_with(&[name], []).map(|folder| folder.join(name))
}
