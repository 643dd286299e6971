//! The command line of `presync bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use crate::command::args::{AzureArgs, CONCURRENCY, ColorArgs};
use crate::command::target::Target;
use crate::command::values::{byte_range, bytes, duration, profile, rate};
use crate::loopback::Mix;
use crate::report::TextOrJson;

#[derive(Debug, Args)]
pub(in crate::command) struct BenchArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX] for a connection in presync.toml
    /// [default: a blob server on this machine]
    #[arg(value_name = "SOURCE")]
    pub source: Option<OsString>,

    /// Number of blobs to read in each run, from the beginning of the listing
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..), requires = "source")]
    pub sample: u64,

    /// Numbers of requests in flight to compare
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "16,64,256", value_parser = clap::value_parser!(u16).range(CONCURRENCY).map(usize::from))]
    pub concurrency: Vec<usize>,

    /// Lengths of a blob's first read to compare, such as 4KiB,16KiB
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', default_value = "4KiB,16KiB,64KiB", value_parser = bytes)]
    pub first_read: Vec<u64>,

    /// Skip the comparison with bare clients
    #[arg(long)]
    pub no_floor: bool,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub color: ColorArgs,

    /// Print only errors to stderr
    #[arg(long, short)]
    pub quiet: bool,

    #[command(flatten, next_help_heading = "Server on this machine")]
    pub(super) server: ServerArgs,

    /// Numbers of blobs to estimate the time, requests and price of
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1000000,100000000", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Estimates")]
    pub estimate: Vec<u64>,

    /// Requests per second that a storage account accepts
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Estimates")]
    pub account_limit: u32,

    /// Price of 10,000 reads in your region and tier
    #[arg(long, value_name = "PRICE", help_heading = "Estimates")]
    pub price: Option<f64>,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,
}

#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Number of blobs to serve
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000), conflicts_with = "source")]
    pub blobs: u64,

    /// Kinds of files, each with a header as cameras and encoders write it
    #[arg(long, value_enum, value_name = "MIX", default_value_t, conflicts_with = "source")]
    pub mix: MixArg,

    /// Smallest and largest image, such as 20KB-8MB
    #[arg(long, value_name = "BYTES-BYTES", value_parser = byte_range, conflicts_with = "source")]
    pub image_size: Option<(u64, u64)>,

    /// Smallest and largest video, such as 1MB-400MB
    #[arg(long, value_name = "BYTES-BYTES", value_parser = byte_range, conflicts_with = "source")]
    pub video_size: Option<(u64, u64)>,

    /// Delay of every answer, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "source")]
    pub latency: Option<Duration>,

    /// Share of ranges and pages that fail once or twice, such as 0.05
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "source")]
    pub fail: Option<f64>,

    /// Maximum requests per second; more are refused
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "source")]
    pub limit: Option<u32>,

    /// Use TLS and a bearer token, as the service does
    #[arg(long, conflicts_with = "source")]
    pub tls: bool,

    /// Seed of blobs and faults
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "source")]
    pub seed: u64,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum MixArg {
    /// Mostly JPEG, some PNG and WebP, a few videos
    #[default]
    Mixed,
    /// Only images
    Images,
    /// Only videos
    Videos,
}

impl From<MixArg> for Mix {
    fn from(mix: MixArg) -> Self {
        let all = Self::default();
        match mix {
            MixArg::Mixed => all,
            MixArg::Images => Self { mp4: 0, mp4_by_ffmpeg: 0, ..all },
            MixArg::Videos => Self {
                jpeg: 0,
                upright_jpeg: 0,
                rotated_jpeg: 0,
                png: 0,
                rotated_png: 0,
                webp: 0,
                rotated_webp: 0,
                ..all
            },
        }
    }
}

impl BenchArgs {
    pub(super) fn target(&self) -> Option<Target<'_>> {
        let source = self.source.as_deref()?;
        Some(Target { source, azure: &self.azure, profile: self.profile.as_deref() })
    }
}
