//! Who asks a cluster, until when, and whether that may do what `svidence verify` does.

use x509::{Certificate, text::format_time};

use super::check::Check;
use crate::sources::kubernetes::{
    doctor::{Examined, Sent, User},
    error::KubernetesError,
    rule::Rule,
};

const API_SERVER: &str = "api-server";
const CLOCK: &str = "clock";
const CREDENTIAL: &str = "credential";
const RIGHTS: &str = "rights";

/// A credential that is good for longer is as good as one that never expires, seconds.
const YEAR: i64 = 366 * 86400;
/// One that is good for less is about to be of no use, seconds.
const SOON: i64 = 300;

/// Asks who asks; `Err`: nothing else can be asked.
pub(super) fn identity(cluster: &mut Examined) -> Result<(User, Check), Check> {
    match cluster.who() {
        Ok(user) => {
            let check =
                Check::ok(API_SERVER, format!("it answers, and takes whoever asks for {}", user.username));
            Ok((user, check))
        }
        Err(error) => Err(Check::failed(API_SERVER, error.to_string(), None)),
    }
}

/// Whether this machine's clock, `now`, is the server's, give or take `skew` seconds; all in Unix seconds.
pub(super) fn clock(servers: Option<i64>, now: i64, skew: i64) -> Check {
    let Some(servers) = servers else {
        return Check::skipped(CLOCK, "the API server does not say what time it is", None);
    };
    let ahead = now.saturating_sub(servers);
    match ahead.saturating_abs() {
        apart if apart <= skew => Check::ok(CLOCK, format!("no more than {skew} s from the API server's")),
        apart => Check::failed(
            CLOCK,
            format!("{apart} s {} the API server's", if ahead > 0 { "ahead of" } else { "behind" }),
            Some("set the clock by NTP: certificates and signatures are checked by it".to_owned()),
        ),
    }
}

/// Until when the credential is good.
pub(super) fn credential(cluster: &mut Examined, user: &User, now: i64) -> Check {
    match cluster.sent() {
        Err(error) => Check::failed(CREDENTIAL, error.to_string(), None),
        Ok(Sent::Nothing) => {
            let action = "name a kubeconfig with a user: --kubeconfig, --context".to_owned();
            Check::failed(CREDENTIAL, "none is sent", Some(action))
        }
        Ok(Sent::Token(until)) => good_until("token", until, user, now),
        Ok(Sent::Certificate(der)) => {
            let until = Certificate::parse(&der).ok().map(|certificate| certificate.validity().not_after);
            good_until("certificate", until, user, now)
        }
    }
}

/// One that is good for ever, or nearly so, is better replaced. All times in Unix seconds.
fn good_until(what: &str, until: Option<i64>, user: &User, now: i64) -> Check {
    let name = &user.username;
    let Some(until) = until else {
        let found = format!("the {what} of {name} does not say until when it is good: it may never expire");
        return Check::warning(CREDENTIAL, found, renewed(user));
    };
    let found = format!("the {what} of {name} is good until {}", format_time(until));
    match until.saturating_sub(now) {
        left if left < SOON => Check::failed(CREDENTIAL, found, Some(renewed(user))),
        left if left <= YEAR => Check::ok(CREDENTIAL, found),
        _ => Check::warning(CREDENTIAL, format!("{found}: whoever finds it has it for years"), renewed(user)),
    }
}

/// The line that gives a credential that expires.
fn renewed(user: &User) -> String {
    let account = user.username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let (namespace, name) = account.unwrap_or(("default", "svidence-verifier"));
    format!("kubectl create token {name} -n {namespace} --duration 1h")
}

/// What `svidence verify` reads in a namespace, or in all.
pub(super) fn needed(namespace: Option<&str>, watches: bool) -> Vec<Rule> {
    let verbs = ["get", "list"].into_iter().chain(watches.then_some("watch"));
    let rule = |verb, resource: &str| Rule {
        verb,
        resource: resource.to_owned(),
        api_group: "tekton.dev".to_owned(),
        namespace: namespace.map(str::to_owned),
        name: None,
    };
    verbs.flat_map(|verb| ["taskruns", "pipelineruns"].map(|resource| rule(verb, resource))).collect()
}

/// Whether all of that is allowed: a check for each rule that is missing, else one.
pub(super) fn rights(cluster: &mut Examined, user: &User, needed: &[Rule]) -> Vec<Check> {
    let asked: Result<Vec<(bool, &Rule)>, KubernetesError> =
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
    use super::{super::check::Status, Check, User, YEAR, clock, good_until};

    #[test]
    fn clocks_may_be_a_little_apart() {
        for (servers, now, status) in [
            (Some(1000), 1000, Status::Ok),
            (Some(1000), 1010, Status::Ok),
            (Some(1000), 990, Status::Ok),
            (Some(1000), 1011, Status::Failed),
            (Some(1000), 989, Status::Failed),
            (Some(i64::MIN), i64::MAX, Status::Failed),
            (None, 1000, Status::Skipped),
        ] {
            assert_eq!(clock(servers, now, 10).status, status, "{servers:?}, {now}");
        }
    }

    #[test]
    fn a_credential_that_ends_soon_fails_and_one_that_never_does_is_warned_of() {
        let account = |name: &str| User { username: name.to_owned(), groups: Vec::new() };
        let ours = account("system:serviceaccount:builds:reader");
        for (user, until, status, action) in [
            (&ours, Some(1000), Status::Failed, Some("kubectl create token reader -n builds --duration 1h")),
            (&ours, Some(0), Status::Failed, Some("kubectl create token reader -n builds --duration 1h")),
            (&ours, Some(4600), Status::Ok, None),
            (&ours, Some(1000 + YEAR), Status::Ok, None),
            (
                &ours,
                Some(1001 + YEAR),
                Status::Warning,
                Some("kubectl create token reader -n builds --duration 1h"),
            ),
            (&ours, None, Status::Warning, Some("kubectl create token reader -n builds --duration 1h")),
            (
                &account("kubernetes-admin"),
                None,
                Status::Warning,
                Some("kubectl create token svidence-verifier -n default --duration 1h"),
            ),
        ] {
            let check: Check = good_until("token", until, user, 1000);
            assert_eq!((check.status, check.action()), (status, action), "{until:?}");
        }
    }
}
