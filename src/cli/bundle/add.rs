//! `svidence bundle add`: keeps every authority that a trust domain was ever seen to have.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::{args::BundleArgs, found::Found};
use crate::{
    bundles::{
        lock::lock_within,
        store::{Added, BundleStore, FILE, StoreError},
    },
    cli::{
        access::AccessArgs,
        input::Input,
        refusal::{Refusal, unchecked, usage},
        trust::{TRUST_DOMAIN_MISSING, TrustDomainArgs, variable},
    },
    io_error,
    report::{count, output::write_whole_alone, safe::Line},
    surroundings,
};

/// Arguments of `svidence bundle add`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AddArgs {
    /// The folder of the store; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    #[command(flatten)]
    trust_domain: TrustDomainArgs,
    #[command(flatten)]
    bundles: BundleArgs,
    #[command(flatten)]
    access: AccessArgs,
}

const EXAMPLES: &str = "\
Examples:
  svidence bundle add --store authorities --trust-domain example.org --bundle bundle.pem
  svidence bundle add --store authorities --trust-domain example.org \\
    --bundle-endpoint https://spire.example.org:8443 --endpoint-profile https_spiffe \\
    --endpoint-id spiffe://example.org/spire/server --endpoint-bundle authorities
  svidence verify taskrun.json --trust-domain example.org --bundle authorities";

/// Runs `svidence bundle add`; returns the exit code.
pub fn run(args: &AddArgs, stdin: &mut (dyn Read + Send), out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match add(args, &mut Input::new(stdin, &[]), err) {
        Ok(text) => {
            // What cannot be written is told by the stream.
            let _ = writeln!(out, "{}", Line(&text));
            0
        }
        Err(Refusal { exit_code, text }) => {
            let _ = writeln!(err, "svidence bundle add: {}", Line(&text));
            exit_code
        }
    }
}

fn add(args: &AddArgs, input: &mut Input<'_>, err: &mut dyn Write) -> Result<String, Refusal> {
    let trust_domain = args.trust_domain.read(input, &variable)?;
    let trust_domain = trust_domain.ok_or_else(|| usage(TRUST_DOMAIN_MISSING.to_owned()))?;
    if !args.bundles.is_given() {
        return Err(usage(
            "what is to be added is missing: --bundle PATH, --bundle-endpoint URL, --bundle-configmap NS/NAME or --workload-api"
                .to_owned(),
        ));
    }
    let of_cluster = args.access.given().into_iter().chain(args.access.caller().given());
    let of_cluster = of_cluster.chain(args.access.caller().timeout_given());
    if let Some((name, _)) =
        of_cluster.into_iter().find(|(_, is_given)| *is_given && !args.bundles.published().asks_cluster())
    {
        return Err(usage(format!("{name} is for --bundle-configmap, which is not given; leave it out")));
    }
    let now = surroundings::now_in_seconds();
    let found = args.bundles.read(&trust_domain, now, &args.access, input, &variable, err)?;
    if let Some(store) = found.iter().find(|found| found.is_store()) {
        return Err(usage(format!(
            "{} is a store itself: what it holds was seen earlier, not now; add what SPIRE publishes",
            store.from
        )));
    }
    let name = args.store.display().to_string();
    let at = |error: io::Error| unchecked(format!("--store {name}: {}", io_error::words(&error)));
    fs::create_dir_all(&args.store).map_err(at)?;
    // Two that add at once must not lose what the other one has added.
    let folder = File::open(&args.store).map_err(at)?;
    lock(&folder, &name, err).map_err(at)?;
    let file = args.store.join(FILE);
    let mut store = BundleStore::read(&file, &trust_domain)
        .map_err(|error| unchecked(format!("--store {}: {error}", file.display())))?;
    if found.iter().any(Found::is_whole) {
        store.supersede();
    }
    let mut all = Added { new: 0, known: 0 };
    for found in &found {
        let added =
            store.add(&found.bundle, found.is_whole(), &found.from, now).map_err(|error| match error {
                error @ StoreError::Older { .. } => unchecked(format!("{}: {error}", found.from)),
                error => unchecked(format!("--store {name}: {error}")),
            })?;
        all = Added { new: all.new + added.new, known: all.known + added.known };
    }
    write_whole_alone(&file, store.to_json().as_bytes()).map_err(at)?;
    Ok(format!(
        "{name}: {} new, {} known; it holds {} of {trust_domain}",
        authorities(all.new),
        all.known,
        authorities(store.authorities().len())
    ))
}

/// How long the store's lock is waited for before that is told.
const QUIET: Duration = Duration::from_secs(1);

/// Locks the store's folder, and says so if that takes a while: whoever holds the lock may have stopped.
fn lock(folder: &File, name: &str, err: &mut dyn Write) -> io::Result<()> {
    if lock_within(folder, QUIET)? {
        return Ok(());
    }
    // What cannot be written is told by the stream.
    let _ = writeln!(
        err,
        "svidence bundle add: waiting for the lock of --store {}, which another process holds (fuser -v {0} names it)",
        Line(name)
    );
    folder.lock()
}

fn authorities(number: usize) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), "authority", "authorities")
}
