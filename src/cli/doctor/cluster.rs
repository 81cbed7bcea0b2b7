//! Who asks a cluster, until when, and whether that may do what `svidence verify` does.

use std::time::Duration;

use unixtime::UnixSeconds;
use x509::Certificate;

use super::check::Check;
use crate::sources::{
    kubernetes::{
        doctor::{Examined, Sent, SentKind, User},
        error::KubernetesError,
        rule::RbacRule,
        runs::Namespace,
    },
    run_name::Name,
};

const API_SERVER: &str = "api-server";
const CLOCK: &str = "clock";
const CREDENTIAL: &str = "credential";
const RIGHTS: &str = "rights";

/// A credential that is good for longer is as good as one that never expires.
const YEAR: Duration = Duration::from_secs(366 * 86400);
/// One that is good for less is about to be of no use.
const SOON: Duration = Duration::from_secs(300);

/// Asks who asks; the first `None`: nothing else can be asked.
pub(super) fn identity(cluster: &mut Examined) -> (Option<User>, Check) {
    match cluster.who() {
        Ok(user) => {
            let found = format!("it answers, and takes whoever asks for {}", user.username);
            (Some(user), Check::ok(API_SERVER, found))
        }
        // Kubernetes before 1.28, or somebody who may not even ask that.
        Err(error @ (KubernetesError::Status { status: 404, .. } | KubernetesError::Forbidden { .. })) => {
            let unknown = User { username: "whoever asks".to_owned(), groups: Vec::new() };
            let found = format!("it answers, but does not say who asks: {error}");
            (Some(unknown), Check::skipped(API_SERVER, found, None))
        }
        Err(error) => (None, Check::failed(API_SERVER, error.to_string(), None)),
    }
}

/// Whether the server's clock and this machine's are the same, give or take `skew`.
pub(super) fn clock(clocks: Option<(UnixSeconds, UnixSeconds)>, skew: Duration) -> Check {
    let Some((servers, ours)) = clocks else {
        return Check::skipped(CLOCK, "the API server does not say what time it is", None);
    };
    let apart = ours.since(servers).max(servers.since(ours));
    if apart <= skew {
        return Check::ok(CLOCK, format!("no more than {} s from the API server's", skew.as_secs()));
    }
    let relation = if ours > servers { "ahead of" } else { "behind" };
    Check::failed(
        CLOCK,
        format!("{} s {relation} the API server's", apart.as_secs()),
        Some("set the clock by NTP: certificates and signatures are checked by it".to_owned()),
    )
}

/// Until when the credential is good.
pub(super) fn credential(cluster: &mut Examined, user: &User, now: UnixSeconds) -> Check {
    let sent = match cluster.sent() {
        Ok(sent) => sent,
        Err(error) => return Check::failed(CREDENTIAL, error.to_string(), None),
    };
    match &sent.kind {
        SentKind::Nothing => {
            let action = "name a kubeconfig with a user: --kubeconfig, --context".to_owned();
            Check::failed(CREDENTIAL, "none is sent", Some(action))
        }
        SentKind::Token(until) => good_until("token", *until, &sent, user, now),
        SentKind::Certificate(der) => {
            let until = Certificate::parse(der).ok().map(|certificate| certificate.validity().not_after);
            good_until("certificate", until, &sent, user, now)
        }
    }
}

/// One that is good for ever, or nearly so, is better replaced.
fn good_until(what: &str, until: Option<UnixSeconds>, sent: &Sent, user: &User, now: UnixSeconds) -> Check {
    let owner = &sent.owner;
    let Some(until) = until else {
        let found = format!("the {what} of {owner} does not say until when it is good: it may never expire");
        return Check::warning(CREDENTIAL, found, replaced(sent, user));
    };
    let found = format!("the {what} of {owner} is good until {until}");
    match until.since(now) {
        left if left < SOON && !sent.is_renewed => {
            Check::failed(CREDENTIAL, found, Some(replaced(sent, user)))
        }
        left if left <= YEAR => Check::ok(CREDENTIAL, found),
        _ => {
            let found = format!("{found}: whoever finds it has it for years");
            Check::warning(CREDENTIAL, found, replaced(sent, user))
        }
    }
}

/// How to get a credential that expires. What a server says is not put into a line for a shell unless it is the name of an object.
fn replaced(sent: &Sent, user: &User) -> String {
    let account = user.username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let is_plain = |(namespace, name): &(&str, &str)| {
        namespace.parse::<Namespace>().is_ok() && name.parse::<Name>().is_ok()
    };
    match account.filter(|_| !sent.impersonates).filter(is_plain) {
        Some((namespace, name)) => format!("kubectl create token {name} -n {namespace} --duration 1h"),
        None => "use a service account's that expires: kubectl create token NAME -n NAMESPACE --duration 1h"
            .to_owned(),
    }
}

/// What `svidence verify` reads in a namespace, or in all.
pub(super) fn needed(namespace: Option<&str>, watches: bool) -> Vec<RbacRule> {
    let verbs = ["get", "list"].into_iter().chain(watches.then_some("watch"));
    let rule = |verb, resource: &str| RbacRule {
        verb,
        resource: resource.to_owned(),
        api_group: "tekton.dev".to_owned(),
        namespace: namespace.map(str::to_owned),
        name: None,
    };
    verbs.flat_map(|verb| ["taskruns", "pipelineruns"].map(|resource| rule(verb, resource))).collect()
}

/// Whether all of that is allowed: a check for each rule that is missing, else one.
pub(super) fn rights(cluster: &mut Examined, user: &User, needed: &[RbacRule]) -> Vec<Check> {
    let asked: Result<Vec<(bool, &RbacRule)>, KubernetesError> =
        needed.iter().map(|rule| Ok((cluster.may(rule)?, rule))).collect();
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return vec![Check::failed(RIGHTS, error.to_string(), None)],
    };
    let missing: Vec<Check> = asked
        .into_iter()
        .filter(|(is_allowed, _)| !is_allowed)
        .map(|(_, rule)| {
            let what = format!("{} may not {} {}", user.username, rule.verb, rule.resource);
            Check::failed(RIGHTS, what, Some(rule.to_string()))
        })
        .collect();
    match missing.is_empty() {
        true => vec![Check::ok(RIGHTS, format!("{} may read what is verified", user.username))],
        false => missing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use unixtime::UnixSeconds;

    use super::{super::check::Status, Sent, SentKind, User, YEAR, clock, good_until};

    #[test]
    fn clocks_may_be_a_little_apart() {
        for (clocks, status) in [
            (Some((1000, 1000)), Status::Ok),
            (Some((1000, 1010)), Status::Ok),
            (Some((1000, 990)), Status::Ok),
            (Some((1000, 1011)), Status::Failed),
            (Some((1000, 989)), Status::Failed),
            (Some((i64::MIN, i64::MAX)), Status::Failed),
            (None, Status::Skipped),
        ] {
            let clocks = clocks.map(|(ours, theirs)| (UnixSeconds::new(ours), UnixSeconds::new(theirs)));
            assert_eq!(clock(clocks, Duration::from_secs(10)).status, status, "{clocks:?}");
        }
    }

    #[test]
    fn a_credential_that_ends_soon_fails_and_one_that_never_does_is_warned_of() {
        let account = |name: &str| User { username: name.to_owned(), groups: Vec::new() };
        let ours = account("system:serviceaccount:builds:reader");
        let hostile = account("system:serviceaccount:builds:$(reboot)");
        let sent = Sent {
            owner: "somebody".to_owned(),
            kind: SentKind::Token(None),
            is_renewed: false,
            impersonates: false,
        };
        let renewed = Sent { is_renewed: true, ..sent.clone() };
        let impersonating = Sent { impersonates: true, ..sent.clone() };
        let at = |seconds: i64| Some(UnixSeconds::new(seconds));
        let year = |seconds: i64| Some(UnixSeconds::new(seconds) + YEAR);
        let line = "kubectl create token reader -n builds --duration 1h";
        let any =
            "use a service account's that expires: kubectl create token NAME -n NAMESPACE --duration 1h";
        for (case, sent, user, until, status, action) in [
            ("expired", &sent, &ours, at(0), Status::Failed, Some(line)),
            ("expires now", &sent, &ours, at(1000), Status::Failed, Some(line)),
            ("expires now, and is renewed", &renewed, &ours, at(1000), Status::Ok, None),
            ("an hour", &sent, &ours, at(4600), Status::Ok, None),
            ("a year", &sent, &ours, year(1000), Status::Ok, None),
            ("more than a year", &sent, &ours, year(1001), Status::Warning, Some(line)),
            ("it does not say", &sent, &ours, None, Status::Warning, Some(line)),
            ("for somebody else", &impersonating, &ours, None, Status::Warning, Some(any)),
            ("a person's", &sent, &account("kubernetes-admin"), None, Status::Warning, Some(any)),
            ("a name that is a script", &sent, &hostile, None, Status::Warning, Some(any)),
        ] {
            let check = good_until("token", until, sent, user, UnixSeconds::new(1000));
            assert_eq!((check.status, check.action()), (status, action), "{case}");
        }
    }
}
