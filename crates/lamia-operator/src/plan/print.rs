//! The forecast as people read it: `+` made, `~` changed, `-` removed, `!` refused.

use std::fmt;

use super::{Action, Forecast, HostForecast, Step, ZoneForecast};

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zones, hosts, notes } = self;
        for zone in zones {
            writeln!(f, "{zone}")?;
        }
        for host in hosts {
            writeln!(f, "{host}")?;
        }
        for note in notes {
            writeln!(f, "note: {note}")?;
        }
        writeln!(f, "{}", self.sum())
    }
}

impl Forecast {
    /// How much would be done, in a line.
    fn sum(&self) -> String {
        let records = self.zones.iter().map(|zone| zone.changes.len()).sum::<usize>();
        let zones = self.zones.iter().filter(|zone| zone.created_at_provider).count();
        let steps = || self.hosts.iter().flat_map(|host| &host.steps).filter(|step| step.action.is_some());
        let certificates = steps().filter(|step| step.kind == "HostCertificate").count();
        let objects = steps().count() - certificates + self.zones.iter().filter(|zone| zone.object_is_new).count();
        let counted = [
            (zones, "zone", "zones"),
            (records, "RRset", "RRsets"),
            (certificates, "certificate", "certificates"),
            (objects, "object", "objects"),
        ];
        let parts: Vec<String> = counted
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        if parts.is_empty() {
            return "Nothing would change.".to_owned();
        }
        format!("Would change: {}. Nothing was done.", parts.join(", "))
    }
}

impl fmt::Display for ZoneForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, object, object_is_new, provider, created_at_provider, stopped, plan, .. } = self;
        if *object_is_new {
            writeln!(f, "+ Zone {object}, at DNSProvider {provider}")?;
        }
        if *created_at_provider {
            writeln!(f, "+ zone {domain}, made at DNSProvider {provider}")?;
        }
        match plan {
            Some(plan) => write!(f, "{plan}")?,
            None => writeln!(f, "zone {domain} (Zone {object}, DNSProvider {provider}):")?,
        }
        match stopped {
            Some(words) => writeln!(f, "  ! {words}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HostForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, host, problem, steps, plan, .. } = self;
        match plan {
            Some(plan) => write!(f, "{plan}")?,
            None => writeln!(f, "{host} (SecuredHost {namespace}/{name})")?,
        }
        if let Some(problem) = problem {
            writeln!(f, "  ! {problem}")?;
        }
        steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, kind, object, words } = self;
        let sign = match action {
            Some(Action::Add) => '+',
            Some(Action::Change) => '~',
            Some(Action::Remove) => '-',
            None => '!',
        };
        write!(f, "{sign} {kind} {object}")?;
        match words {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: Option<Action>, kind: &'static str, words: &str) -> Step {
        let words = (!words.is_empty()).then(|| words.to_owned());
        Step { action, kind, object: "vamp-demo/shop".to_owned(), words }
    }

    fn host(steps: Vec<Step>, problem: Option<&str>) -> HostForecast {
        HostForecast {
            namespace: "vamp-demo".to_owned(),
            name: "shop".to_owned(),
            host: "shop.democluster.net".to_owned(),
            zone: Some("democluster.net".to_owned()),
            problem: problem.map(str::to_owned),
            steps,
            plan: None,
        }
    }

    fn zone(stopped: Option<&str>) -> ZoneForecast {
        ZoneForecast {
            domain: "democluster.net".to_owned(),
            object: "democluster.net".to_owned(),
            object_is_new: stopped.is_none(),
            provider: "powerdns".to_owned(),
            created_at_provider: stopped.is_none(),
            stopped: stopped.map(str::to_owned),
            changes: Vec::new(),
            refusals: Vec::new(),
            plan: None,
        }
    }

    #[test]
    fn what_would_be_made_is_listed_and_counted() {
        let steps = vec![
            step(Some(Action::Add), "HostCertificate", "ordered"),
            step(Some(Action::Change), "Gateway", ""),
            step(None, "Secret", "one of that name is somebody else's; it is left alone"),
        ];
        let forecast = Forecast { zones: vec![zone(None)], hosts: vec![host(steps, None)], notes: Vec::new() };
        insta::assert_snapshot!(forecast.to_string(), @r"
        + Zone democluster.net, at DNSProvider powerdns
        + zone democluster.net, made at DNSProvider powerdns
        zone democluster.net (Zone democluster.net, DNSProvider powerdns):

        shop.democluster.net (SecuredHost vamp-demo/shop)
          + HostCertificate vamp-demo/shop: ordered
          ~ Gateway vamp-demo/shop
          ! Secret vamp-demo/shop: one of that name is somebody else's; it is left alone

        Would change: 1 zone, 1 certificate, 2 objects. Nothing was done.
        ");
    }

    #[test]
    fn what_can_not_be_is_said_with_why_and_what_was_not_read_too() {
        let forecast = Forecast {
            zones: vec![zone(Some("ProviderError: no answer"))],
            hosts: vec![host(Vec::new(), Some("NotGranted: ask the platform team"))],
            notes: vec!["you have no right to list Secrets".to_owned()],
        };
        insta::assert_snapshot!(forecast.to_string(), @r"
        zone democluster.net (Zone democluster.net, DNSProvider powerdns):
          ! ProviderError: no answer

        shop.democluster.net (SecuredHost vamp-demo/shop)
          ! NotGranted: ask the platform team

        note: you have no right to list Secrets
        Nothing would change.
        ");
    }

    #[test]
    fn a_choice_of_hosts_leaves_their_zones() {
        let forecast = Forecast { zones: vec![zone(None)], hosts: vec![host(Vec::new(), None)], notes: Vec::new() };
        assert_eq!(forecast.clone().only(|host| host.name == "shop"), forecast);
        let none = forecast.only(|host| host.name == "cart");
        assert!(none.zones.is_empty() && none.hosts.is_empty());
    }
}
