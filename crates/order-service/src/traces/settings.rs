//! The variables of the environment that say where traces go and which: those that OpenTelemetry has for every program
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{HeaderName, HeaderValue, Uri};
use order_application::nearest::did_you_mean;
use order_application::traces::{Sampler, Share};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cli::Failure;
use crate::release;

/// Added to the endpoint of all signals over HTTP.
const PATH: &str = "/v1/traces";
const SERVICE_NAME: &str = "order-service";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody waits for a collector, but spans wait that come after.
const MAX_TIMEOUT_MILLIS: u32 = 60_000;

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Where traces go, and which.
#[derive(Debug, PartialEq)]
pub(crate) struct TraceSettings {
    pub(super) endpoint: Uri,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one batch may take.
    pub(super) timeout: Duration,
    /// Who signs the collector's certificate; without it the system's authorities do.
    pub(super) authorities: Option<PathBuf>,
    /// What the service says of itself.
    pub(super) resource: BTreeMap<String, String>,
    pub(super) sampler: Sampler,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
    }
}

impl TraceSettings {
    /// What the environment says. `None`: traces are off.
    ///
    /// # Errors
    /// Every variable that says something impossible.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        Self::of(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
            .map_err(Failure::Usage)
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Vec<String>> {
        let mut variables = Variables { variable, faults: Vec::new() };
        if variables.of_traces("ENDPOINT").is_none() || variables.is_off() {
            return variables.without_faults(None);
        }
        let protocol = variables.protocol();
        let settings = Self {
            endpoint: variables.endpoint(protocol).unwrap_or_default(),
            protocol,
            headers: variables.headers(),
            timeout: variables.timeout(),
            authorities: variables.authorities(),
            resource: variables.resource(),
            sampler: variables.sampler(),
        };
        variables.refuse_what_is_not_there();
        variables.without_faults(Some(settings))
    }

    /// Whether the collector is spoken to with TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoint.scheme() == Some(&Scheme::HTTPS)
    }
}

/// The environment, and what is wrong with it.
struct Variables<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

/// A variable that is set.
struct Set {
    name: String,
    value: String,
}

impl Variables<'_> {
    fn without_faults<T>(self, settings: T) -> Result<T, Vec<String>> {
        if self.faults.is_empty() { Ok(settings) } else { Err(self.faults) }
    }

    fn fault(&mut self, name: &str, what: &str) {
        self.faults.push(format!("{name}: {what}"));
    }

    /// One that is empty is as good as none.
    fn get(&self, name: &str) -> Option<Set> {
        let value = (self.variable)(name)?.trim().to_owned();
        (!value.is_empty()).then(|| Set { name: name.to_owned(), value })
    }

    /// What is said for traces goes before what is said for all that is exported.
    fn of_traces(&self, what: &str) -> Option<Set> {
        self.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }

    fn one_of(&mut self, Set { name, value }: &Set, words: &[&str]) -> bool {
        let is_known = words.contains(&value.as_str());
        if !is_known {
            let meant = did_you_mean(value, words.iter().copied());
            self.fault(name, &format!("must be one of {}{meant}", words.join(", ")));
        }
        is_known
    }

    fn is_off(&mut self) -> bool {
        let is_disabled = self.get("OTEL_SDK_DISABLED").is_some_and(|mut set| {
            set.value.make_ascii_lowercase();
            self.one_of(&set, &["true", "false"]) && set.value == "true"
        });
        let exports_none = self
            .get("OTEL_TRACES_EXPORTER")
            .is_some_and(|set| self.one_of(&set, &["otlp", "none"]) && set.value == "none");
        is_disabled || exports_none
    }

    fn protocol(&mut self) -> Protocol {
        match self.of_traces("PROTOCOL") {
            Some(set) if self.one_of(&set, &PROTOCOLS) && set.value == "grpc" => Protocol::Grpc,
            Some(_) | None => Protocol::HttpProtobuf,
        }
    }

    fn endpoint(&mut self, protocol: Protocol) -> Option<Uri> {
        let Set { name, value } = self.of_traces("ENDPOINT")?;
        let uri = value.parse::<Uri>().ok().filter(|uri| {
            let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
            is_http && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
        });
        let Some(uri) = uri else {
            self.fault(&name, "must be a URL such as http://localhost:4318 or https://collector.example");
            return None;
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            self.fault(&name, "must not have a password; what a collector wants to see goes into OTEL_EXPORTER_OTLP_HEADERS");
            return None;
        }
        let is_whole = name.contains("_TRACES_") || protocol == Protocol::Grpc;
        if is_whole { Some(uri) } else { with_path(uri) }
    }

    fn headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let Some(set) = self.of_traces("HEADERS") else { return Vec::new() };
        let header = |(name, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        let headers = pairs(&set.value).and_then(|pairs| pairs.into_iter().map(header).collect());
        // What it says is not repeated: it may be a secret.
        self.or_fault(&set.name, headers, "must be headers as in api-key=0123,other=value")
    }

    fn or_fault<T: Default>(&mut self, name: &str, value: Option<T>, what: &str) -> T {
        if value.is_none() {
            self.fault(name, what);
        }
        value.unwrap_or_default()
    }

    fn timeout(&mut self) -> Duration {
        let Some(Set { name, value }) = self.of_traces("TIMEOUT") else { return DEFAULT_TIMEOUT };
        let millis = value.parse().ok().filter(|millis| (1..=MAX_TIMEOUT_MILLIS).contains(millis));
        let millis = self.or_fault(&name, millis, "must be milliseconds from 1 to 60000");
        Duration::from_millis(millis.into())
    }

    fn authorities(&mut self) -> Option<PathBuf> {
        let Set { name, value } = self.of_traces("CERTIFICATE")?;
        let certificates =
            CertificateDer::pem_file_iter(&value).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                self.fault(&name, &format!("{value} has no certificate in PEM form"));
            }
            Ok(_) => {}
            Err(why) => self.fault(&name, &format!("{value}: {why}")),
        }
        Some(value.into())
    }

    fn resource(&mut self) -> BTreeMap<String, String> {
        let said = self.get("OTEL_RESOURCE_ATTRIBUTES").map(|set| {
            let attributes = pairs(&set.value).map(BTreeMap::from_iter);
            self.or_fault(
                &set.name,
                attributes,
                "must be attributes as in deployment.environment=test,team=shop",
            )
        });
        let mut resource = BTreeMap::from(
            [("service.name", SERVICE_NAME), ("service.version", release::VERSION)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        resource.extend(said.unwrap_or_default());
        if let Some(set) = self.get("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), set.value);
        }
        resource
    }

    fn sampler(&mut self) -> Sampler {
        // Whoever sets only an endpoint gets the traces that callers have begun, and no load that grows with requests.
        let silent = Sampler { follows_caller: true, others: Share::None };
        let Some(set) = self.get("OTEL_TRACES_SAMPLER") else { return silent };
        if !self.one_of(&set, &SAMPLERS) {
            return silent;
        }
        let (follows_caller, others) = match set.value.strip_prefix("parentbased_") {
            Some(others) => (true, others),
            None => (false, set.value.as_str()),
        };
        let others = match others {
            "always_on" => Share::All,
            "always_off" => Share::None,
            _ => Share::Ratio(self.ratio()),
        };
        Sampler { follows_caller, others }
    }

    fn ratio(&mut self) -> f64 {
        let Some(Set { name, value }) = self.get("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        self.or_fault(&name, ratio, "must be a number from 0 to 1, such as 0.01 for every hundredth request")
    }

    /// What would be expected to do something, and does nothing here.
    fn refuse_what_is_not_there(&mut self) {
        if let Some(set) = self.of_traces("COMPRESSION").filter(|set| set.value != "none") {
            self.fault(&set.name, "must be none: nothing is compressed");
        }
        for what in ["CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            if let Some(set) = self.of_traces(what) {
                self.fault(
                    &set.name,
                    "collectors that ask for a certificate cannot be used; use OTEL_EXPORTER_OTLP_HEADERS",
                );
            }
        }
    }
}

fn with_path(endpoint: Uri) -> Option<Uri> {
    let mut parts = endpoint.into_parts();
    let base = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/');
    parts.path_and_query = Some(format!("{base}{PATH}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// `name=value,name=value`, with values percent-encoded where they have to be.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    pairs.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    fn read(set: &[(&str, &str)]) -> Result<Option<TraceSettings>, Vec<String>> {
        let set: BTreeMap<_, _> = set.iter().copied().collect();
        TraceSettings::of(&|name| set.get(name).map(|value| (*value).to_owned()))
    }

    fn with(set: &[(&str, &str)]) -> TraceSettings {
        read(&[&[ENDPOINT], set].concat()).unwrap().expect("traces are on")
    }

    #[test]
    fn without_an_endpoint_traces_are_off_whatever_else_is_said() {
        let off = [
            vec![],
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", " "), ("OTEL_TRACES_SAMPLER", "x")],
            vec![ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_SAMPLER", "x")],
            vec![ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
        ];
        for set in off {
            assert_eq!(read(&set), Ok(None), "{set:?}");
        }
        with(&[("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")]);
    }

    #[test]
    fn an_endpoint_alone_is_enough() {
        let settings = with(&[]);
        assert_eq!(settings.endpoint, "http://localhost:4318/v1/traces");
        assert_eq!((settings.protocol, settings.timeout), (Protocol::HttpProtobuf, DEFAULT_TIMEOUT));
        assert_eq!(settings.sampler, Sampler { follows_caller: true, others: Share::None });
        assert_eq!(settings.resource["service.name"], "order-service");
    }

    #[test]
    fn what_is_said_for_traces_goes_before_what_is_said_for_all() {
        let settings = with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!((settings.protocol, settings.endpoint.path()), (Protocol::Grpc, "/"));
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/as/it/is"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b , x=y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=%C3%BC"),
            ("OTEL_SERVICE_NAME", "shop"),
        ]);
        assert_eq!(settings.endpoint, "https://collector.example/as/it/is");
        assert_eq!(
            (settings.protocol, settings.timeout),
            (Protocol::HttpProtobuf, Duration::from_millis(250))
        );
        assert_eq!(settings.headers[0].1, "a b");
        assert!(!format!("{settings:?}").contains("a b"), "headers are secrets");
        assert_eq!((&*settings.resource["service.name"], &*settings.resource["team"]), ("shop", "ü"));
    }

    #[test]
    fn samplers_are_those_of_opentelemetry() {
        let ratio = ("OTEL_TRACES_SAMPLER_ARG", "0.01");
        for (name, follows_caller, others) in [
            ("always_on", false, Share::All),
            ("always_off", false, Share::None),
            ("traceidratio", false, Share::Ratio(0.01)),
            ("parentbased_always_on", true, Share::All),
            ("parentbased_always_off", true, Share::None),
            ("parentbased_traceidratio", true, Share::Ratio(0.01)),
        ] {
            assert_eq!(
                with(&[("OTEL_TRACES_SAMPLER", name), ratio]).sampler,
                Sampler { follows_caller, others }
            );
        }
        let all = with(&[("OTEL_TRACES_SAMPLER", "traceidratio")]).sampler;
        assert_eq!(all.others, Share::Ratio(1.0));
    }

    #[test]
    fn every_fault_is_told_without_secrets() {
        let faults = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:SECRET@h"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "SECRET"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere"),
            ("OTEL_RESOURCE_ATTRIBUTES", "x"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ])
        .unwrap_err();
        assert_eq!(faults.len(), 9, "{faults:#?}");
        assert!(!faults.concat().contains("SECRET"), "{faults:#?}");
        for endpoint in ["localhost:4318", "ftp://h", "http://", "http:///x", "/x", "http://h?x=y"] {
            let faults = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).unwrap_err();
            assert!(faults[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL"), "{faults:?}");
        }
        let faults = read(&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "always-on")]).unwrap_err();
        assert!(faults[0].ends_with("did you mean always_on?"), "{faults:?}");
    }
}
