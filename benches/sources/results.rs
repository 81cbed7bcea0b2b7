//! Runs in the archive of Tekton Results.

use std::{io::Read, process::Command, time::Instant};

use serde::Deserialize;
use tokio::runtime::Builder;
use tonic::transport::Endpoint;
use ureq::Agent;

use super::{
    Corpus, MANY,
    archive::server::{PLAIN, Results},
    in_turns,
    report::Beside,
};

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::use_self, dead_code)]
#[rustfmt::skip]
#[path = "../../src/sources/results/generated.rs"]
mod generated;

use generated::{ListRecordsRequest, results_client::ResultsClient};

/// Distinct TaskRuns; the others are the same once more, in the same order: their server takes minutes for each thousand.
const DISTINCT: usize = 2000;
/// Of the bare client's rate.
const TARGET: f64 = 0.9;
const PAGE: u32 = 1000;
const FILTER: &str = r#"data_type in [TASK_RUN, "tekton.dev/v1beta1.TaskRun", PIPELINE_RUN, "tekton.dev/v1beta1.PipelineRun"]"#;
const ORDER: &str = "create_time asc";

/// How fast they are judged over each protocol; nothing is measured if something is missing.
pub(super) fn measured(corpus: &Corpus, rows: &mut Vec<Beside>) {
    let Some(results) = Results::start(false) else { return };
    eprintln!("filling the archive");
    for (number, object) in corpus.objects.iter().take(DISTINCT).enumerate() {
        results.store(&format!("default/results/r/records/{number}"), "tekton.dev/v1.TaskRun", object);
    }
    results.multiply("default", MANY / DISTINCT);
    type Bare = fn() -> f64;
    let protocols: [(&str, &str, Bare); 2] = [("gRPC", "grpc", over_grpc), ("REST", "http", over_rest)];
    for network in ["loopback", NARROW] {
        if network == NARROW && !narrow(&results) {
            eprintln!(
                "without the program tc (iproute2), or the kernel's token buckets, no network is narrow"
            );
            return;
        }
        for (name, scheme, bare) in protocols {
            let address = format!("{scheme}://127.0.0.1:{PLAIN}");
            let source = ["--from", "results", "--results-api", &address, "--parent", "default"];
            let name = format!("Tekton Results over {name}, in pages of {PAGE}, {network}");
            let verify = || results.network.inside(|| corpus.rate(&source, MANY));
            rows.push(in_turns(name, TARGET, verify, || results.network.inside(bare)));
        }
    }
}

/// A server is elsewhere.
const NARROW: &str = "at 100 Mbit/s";

/// Makes the servers' network so narrow, if that can be done. What the server asks of its database goes another way.
fn narrow(results: &Results) -> bool {
    let limit =
        ["qdisc", "add", "dev", "lo", "root", "tbf", "rate", "100mbit", "burst", "256kb", "latency", "400ms"];
    results.network.inside(|| Command::new("tc").args(limit).status().is_ok_and(|status| status.success()))
}

/// At which rate records are read over gRPC, and thrown away.
fn over_grpc() -> f64 {
    const LARGEST_ANSWER: usize = 64 << 20;
    const WINDOW: u32 = 8 << 20;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let start = Instant::now();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{PLAIN}")).expect("an address");
        let endpoint = endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let channel = endpoint.connect().await.expect("a connection");
        let mut client = ResultsClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let request = ListRecordsRequest {
                parent: "default/results/-".to_owned(),
                filter: FILTER.to_owned(),
                page_size: PAGE.try_into().expect("a small number"),
                page_token,
                order_by: ORDER.to_owned(),
            };
            let page = client.list_records(request).await.expect("a page").into_inner();
            count += page.records.len();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                assert_eq!(count, MANY);
                return MANY as f64 / start.elapsed().as_secs_f64();
            }
        }
    })
}

/// The same over REST: the text of each page is read as JSON, and its values are left as they are, in base64.
fn over_rest() -> f64 {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        records: Vec<Record<'a>>,
        #[serde(default)]
        next_page_token: String,
    }
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        value: &'a str,
    }
    let start = Instant::now();
    let agent: Agent = Agent::config_builder().proxy(None).build().into();
    let url = format!(
        "http://127.0.0.1:{PLAIN}/apis/results.tekton.dev/v1alpha2/parents/default/results/-/records"
    );
    let (mut count, mut token) = (0, String::new());
    loop {
        let mut request = agent
            .get(&url)
            .query("page_size", PAGE.to_string())
            .query("order_by", ORDER)
            .query("filter", FILTER);
        if !token.is_empty() {
            request = request.query("page_token", &token);
        }
        let mut text = Vec::new();
        let mut response = request.call().expect("a page");
        response.body_mut().as_reader().read_to_end(&mut text).expect("all of it");
        let page: Page<'_> = serde_json::from_slice(&text).expect("a page");
        count += page.records.iter().filter(|record| !record.data.value.is_empty()).count();
        token = page.next_page_token;
        if token.is_empty() {
            assert_eq!(count, MANY);
            return MANY as f64 / start.elapsed().as_secs_f64();
        }
    }
}
