//! `print`: what comes with the binary, for those who run it.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::{Arguments, Failure};
use crate::{config, output};

/// What to print.
#[derive(Debug, Args)]
pub(crate) struct PrintArguments {
    #[command(subcommand)]
    what: Printed,
}

#[derive(Debug, Subcommand)]
enum Printed {
    /// The OpenAPI document, as `/openapi.json` has it.
    Openapi,
    /// Rules for Prometheus: what to be woken for, and what to look at.
    Alerts,
    /// A dashboard for Grafana, which reads from Prometheus.
    Grafana,
    /// A unit for systemd: for `/etc/systemd/system/order-service.service`.
    Systemd,
    /// Manifests for Kubernetes.
    Kubernetes {
        /// Where orders are kept: on a volume, by one instance, or in PostgreSQL, by several.
        #[arg(long, value_enum, default_value = "sqlite")]
        store: StoreKind,
    },
    /// What a shell completes: for bash, `source <(order-service print completions bash)`.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// A manual page: `order-service print man > order-service.1`.
    Man {
        /// That of a command: `order-service print man serve > order-service-serve.1`.
        command: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    Sqlite,
    Postgres,
}

const NAME: &str = "order-service";
const SYSTEMD: &str = include_str!("print/order-service.service");
const ALERTS: &str = include_str!("print/alerts.yaml");
const GRAFANA: &str = include_str!("print/grafana.json");
const KUBERNETES_SQLITE: &str = include_str!("print/kubernetes-sqlite.yaml");
const KUBERNETES_POSTGRES: &str = include_str!("print/kubernetes-postgres.yaml");

pub(crate) fn run(arguments: PrintArguments) -> Result<ExitCode, Failure> {
    let text = match arguments.what {
        Printed::Openapi => order_api::openapi_json(),
        Printed::Alerts => ALERTS.to_owned(),
        Printed::Grafana => GRAFANA.to_owned(),
        Printed::Systemd => SYSTEMD.to_owned(),
        Printed::Kubernetes { store: StoreKind::Sqlite } => KUBERNETES_SQLITE.to_owned(),
        Printed::Kubernetes { store: StoreKind::Postgres } => KUBERNETES_POSTGRES.to_owned(),
        Printed::Completions { shell } => completions(shell)?,
        Printed::Man { command } => manual(command.as_deref())?,
    };
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: Shell) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut text);
    Ok(String::from_utf8(text)?)
}

fn manual(command: Option<&str>) -> Result<String, Failure> {
    let mut root = config::command();
    // Subcommands are called by their whole names from now on.
    root.build();
    let command = match command {
        None => root,
        Some(name) => find(&root, name)?.clone(),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).map_err(anyhow::Error::from)?;
    Ok(String::from_utf8(text).map_err(anyhow::Error::from)?)
}

fn find<'a>(root: &'a Command, name: &str) -> Result<&'a Command, Failure> {
    root.find_subcommand(name).ok_or_else(|| {
        let names: Vec<_> = root.get_subcommands().map(Command::get_name).collect();
        Failure::usage(format!("there is no command {name:?}; there are {}", names.join(", ")))
    })
}
