//! `presync bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::common::{AzureArgs, ColorArg, TextOrJsonArg};
use super::values::{byte_range, bytes, duration, rate};
use crate::config::Bench;
use crate::loopback::Mix;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX], a connection of presync.toml; without
    /// it, a blob server on this machine
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,

    /// Blobs of the listing that are read in each run, from its beginning
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..), requires = "source")]
    sample: u64,

    /// Requests in flight to compare
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "16,64,256", value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: Vec<u16>,

    /// Lengths of the first read of a blob to compare, such as 4KiB,16KiB
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', default_value = "4KiB,16KiB,64KiB", value_parser = bytes)]
    first_read: Vec<u64>,

    /// No bare clients to compare with
    #[arg(long)]
    no_floor: bool,

    #[command(flatten, next_help_heading = "Server on this machine")]
    server: ServerArgs,

    /// Numbers of blobs to say the time, requests and price of
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1000000,100000000", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Estimates")]
    estimate: Vec<u64>,

    /// Requests a second that a storage account takes
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Estimates")]
    account_limit: u32,

    /// The price of 10,000 reads, as your region and tier have it
    #[arg(long, value_name = "PRICE", help_heading = "Estimates")]
    price: Option<f64>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJsonArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,

    /// Nothing on stderr but errors
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// Blobs that it serves
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000), conflicts_with = "source")]
    blobs: u64,

    /// What kinds of files they are, each with a header as cameras and encoders write it
    #[arg(long, value_enum, value_name = "MIX", default_value_t, conflicts_with = "source")]
    mix: MixArg,

    /// The smallest and the largest image, such as 20KB-8MB
    #[arg(long, value_name = "BYTES-BYTES", value_parser = byte_range, conflicts_with = "source")]
    image_size: Option<(u64, u64)>,

    /// The smallest and the largest video, such as 1MB-400MB
    #[arg(long, value_name = "BYTES-BYTES", value_parser = byte_range, conflicts_with = "source")]
    video_size: Option<(u64, u64)>,

    /// How long every answer takes, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "source")]
    latency: Option<Duration>,

    /// The share of ranges and pages that fail once or twice, such as 0.05
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "source")]
    fail: Option<f64>,

    /// Requests a second that it serves; more are refused
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "source")]
    limit: Option<u32>,

    /// TLS, and a bearer token, as the service has it
    #[arg(long, conflicts_with = "source")]
    tls: bool,

    /// What blobs and faults are drawn from
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "source")]
    seed: u64,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum MixArg {
    /// Mostly JPEG, some PNG and WebP, a few videos
    #[default]
    Mixed,
    /// Images alone
    Images,
    /// Videos alone
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
    pub(super) fn resolve(self) -> Bench {
        let Self { server, azure, profile, .. } = self;
        let mut concurrency: Vec<_> = self.concurrency.into_iter().map(usize::from).collect();
        concurrency.sort_unstable();
        concurrency.dedup();
        Bench {
            source: self.source.map(|source| azure.target(source, profile)),
            sample: self.sample,
            concurrency,
            first_read: self.first_read,
            floors: !self.no_floor,
            blobs: server.blobs,
            mix: server.mix.into(),
            image_size: server.image_size,
            video_size: server.video_size,
            latency: server.latency,
            fail: server.fail,
            limit: server.limit.map(f64::from),
            tls: server.tls,
            seed: server.seed,
            estimate: self.estimate,
            account_limit: self.account_limit.into(),
            price: self.price,
            format: self.format.into(),
            output: self.output,
            color: self.color.into(),
            progress: !self.quiet,
        }
    }
}
