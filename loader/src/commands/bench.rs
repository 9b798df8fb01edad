//! `bench`: images a second, and what they cost in CPU time and memory.
//!
//! What is measured is measured in turn, round after round, so that a machine that drifts drifts for
//! all of it: plan and collate in one thread; a loader process that streams to a client in this
//! process, which checks every batch; and a bare gRPC stream of equal messages between two processes,
//! with no mixing and no checks, which is what the transport alone can do.

mod bare;
mod process;
mod report;
mod stream;

use super::data::open_data;
use super::failure::Failure;
use super::spec::{ARTICLE_SHARE, asked, checked};
use crate::config::{BenchArgs, Measured};
use crate::extensions::Extensions;
use mixfeed_client::Security;
use mixfeed_ops::{eprintln, println};
use mixfeed_pipeline::{BatchBuffer, CheckedSpec, Dataset, RowPlan, Scratch, StreamSpec, collate_row};
use process::Process;
use report::Report;
use std::time::{Duration, Instant};
use stream::Consumer;

pub(super) fn run(args: &BenchArgs, extensions: &Extensions) -> Result<(), Failure> {
    if args.bare_server {
        return bare::serve(args.batch_size);
    }
    let time = Duration::from(args.time);
    if time < Duration::from_millis(100) {
        return Err(Failure::usage(format!("--time {time:?} is not allowed, at least 100ms")));
    }
    let report = Bench::prepare(args, time, extensions)?.run()?;
    if args.json {
        println!("{}", serde_json::Value::Object(report.as_json()));
    } else {
        report.print(args);
    }
    Ok(())
}

/// All that is measured, with the processes that it takes.
struct Bench<'a> {
    args: &'a BenchArgs,
    time: Duration,
    spec: StreamSpec,
    /// For plan and collate; this process holds no data otherwise.
    local: Option<(Dataset, CheckedSpec)>,
    tcp: Option<Process>,
    unix: Option<(Process, tempfile::TempDir)>,
    tls: Option<(Process, Security)>,
    bare: Option<Process>,
}

impl<'a> Bench<'a> {
    fn prepare(args: &'a BenchArgs, time: Duration, extensions: &Extensions) -> Result<Self, Failure> {
        let plain = StreamSpec { batch_size: args.batch_size, ..StreamSpec::default() };
        let spec = asked(&args.augmentation, ARTICLE_SHARE, plain)?;
        let measures = |what: &[Measured]| args.measure.iter().any(|measured| what.contains(measured));
        let local = if measures(&[Measured::PlanCollate]) {
            let dataset = open_data(&args.data, &args.source, extensions)?;
            let checked = checked(&args.augmentation, spec, &dataset, extensions)?;
            Some((dataset, checked))
        } else {
            None
        };
        let tcp = measures(&[Measured::Loopback, Measured::Float])
            .then(|| Process::serve(args, "127.0.0.1:0", &[]))
            .transpose()?;
        let unix = if measures(&[Measured::Unix]) {
            let folder = tempfile::tempdir().map_err(Failure::other)?;
            let socket = format!("unix://{}", folder.path().join("loader.sock").display());
            Some((Process::serve(args, &socket, &[])?, folder))
        } else {
            None
        };
        let tls = if measures(&[Measured::Tls]) { Some(tls(args)?) } else { None };
        let bare = if measures(&[Measured::Transport]) {
            let rows = args.batch_size.to_string();
            Some(Process::start(&["bench", "--bare-server", "--batch-size", &rows].map(Into::into))?)
        } else {
            None
        };
        Ok(Self { args, time, spec, local, tcp, unix, tls, bare })
    }

    fn run(&self) -> Result<Report, Failure> {
        let mut report = Report::default();
        for round in 1..=self.args.rounds {
            eprintln!("round {round} of {}", self.args.rounds);
            for measured in &self.args.measure {
                self.measure(*measured, &mut report)?;
            }
        }
        Ok(report)
    }

    fn measure(&self, measured: Measured, report: &mut Report) -> Result<(), Failure> {
        let Self { args, time, spec, .. } = self;
        let stream =
            |loader: &Process, consumer| stream::measure(loader, spec, Security::default(), *time, consumer);
        match (measured, &self.local, &self.tcp, &self.unix, &self.bare) {
            (Measured::PlanCollate, Some((dataset, checked)), ..) => {
                report.plan_collate.push(plan_collate(dataset, checked, *time)?);
            }
            (Measured::Loopback, _, Some(loader), ..) => {
                report.loopback.push(stream(loader, Consumer::Drop)?);
            }
            (Measured::Float, _, Some(loader), ..) => report.float.push(stream(loader, Consumer::Float)?),
            (Measured::Unix, _, _, Some((loader, _)), _) => report.unix.push(stream(loader, Consumer::Drop)?),
            (Measured::Tls, ..) if let Some((loader, security)) = &self.tls => {
                let security = security.clone();
                report.tls.push(stream::measure(loader, spec, security, *time, Consumer::Drop)?);
            }
            (Measured::Transport, .., Some(server)) => {
                report.bare.push(bare::measure(server, *time, bare::Settings::Ours)?);
                report.defaults.push(bare::measure(server, *time, bare::Settings::Defaults)?);
            }
            (Measured::Start, ..) => report.start.push(stream::start(args, spec)?),
            _ => unreachable!("what is measured was prepared"),
        }
        Ok(())
    }
}

/// A loader that speaks TLS, and what a client needs for it.
fn tls(args: &BenchArgs) -> Result<(Process, Security), Failure> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else {
        return Err(Failure::usage("--measure tls needs --tls-cert and --tls-key"));
    };
    let ca = std::fs::read(certificate)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", certificate.display())))?;
    let flags = ["--tls-cert".into(), certificate.into(), "--tls-key".into(), key.into()];
    Ok((Process::serve(args, "127.0.0.1:0", &flags)?, Security::default().with_tls(&ca, None)))
}

/// Images a second of plan and collate, in this thread.
fn plan_collate(dataset: &Dataset, checked: &CheckedSpec, time: Duration) -> Result<f64, Failure> {
    let samples = dataset.samples(checked.spec().split).as_ref();
    let (mut scratch, mut buffer) = (Scratch::default(), BatchBuffer::default());
    let (started, mut images) = (Instant::now(), 0);
    for index in 0.. {
        if started.elapsed() >= time {
            break;
        }
        let rows = checked.epochs().rows(index);
        buffer.clear();
        for row in RowPlan::of_batch(checked, index, 0..rows) {
            collate_row(checked, &row, samples, &mut scratch, &mut buffer)?;
        }
        std::hint::black_box(&buffer);
        images += rows;
    }
    Ok(images as f64 / started.elapsed().as_secs_f64())
}
