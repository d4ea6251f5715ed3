//! HTTP/JSON as a client has it that knows nothing of gRPC.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::contract::Route;

/// Nothing here takes long, but for a machine that has other work to do.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The services that serve what all of them serve.
const SERVICES: [&str; 3] = ["accounts", "records", "transactions"];

/// A caller with a token.
pub(crate) struct Http {
    address: String,
    bearer: String,
    routes: Vec<Route>,
    /// The RPCs that have answered.
    answered: Mutex<BTreeSet<String>>,
}

/// A request on its way.
pub(crate) struct Call<'a> {
    http: &'a Http,
    verb: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Http {
    /// The caller of a server with a token.
    pub(crate) fn new(address: &str, bearer: String) -> Self {
        Self {
            address: address.to_owned(),
            bearer,
            routes: Route::all(),
            answered: Mutex::default(),
        }
    }

    /// A GET of a path and query.
    pub(crate) fn get(&self, target: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, target.into(), String::new())
    }

    /// A POST of JSON.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!(..)")]
    pub(crate) fn post(&self, target: impl Into<String>, body: Value) -> Call<'_> {
        self.call(Method::POST, target.into(), body.to_string())
    }

    /// A PATCH of JSON.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!(..)")]
    pub(crate) fn patch(&self, target: impl Into<String>, body: Value) -> Call<'_> {
        self.call(Method::PATCH, target.into(), body.to_string())
    }

    /// A DELETE.
    pub(crate) fn delete(&self, target: impl Into<String>) -> Call<'_> {
        self.call(Method::DELETE, target.into(), String::new())
    }

    fn call(&self, verb: Method, target: String, body: String) -> Call<'_> {
        let headers = vec![("authorization", self.bearer.clone())];
        Call { http: self, verb, target, headers, body }
    }

    /// The RPCs that have not answered yet; those of all services once for each.
    pub(crate) fn silent(&self) -> Vec<String> {
        let answered = self.answered.lock().expect("no call panicked");
        let routes = self.routes.iter().flat_map(|route| match is_shared(&route.method) {
            true => SERVICES.map(|service| format!("{service}: {}", route.method)).to_vec(),
            false => vec![route.method.clone()],
        });
        routes.filter(|route| !answered.contains(route)).collect()
    }

    fn answered(&self, rpc: Option<String>, name: &str) {
        let rpc = rpc.unwrap_or_else(|| panic!("no contract declares {name}"));
        self.answered.lock().expect("no call panicked").insert(rpc);
    }
}

impl Call<'_> {
    /// With this header, instead of one that was there.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Without the token.
    pub(crate) fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "authorization");
        self
    }

    /// With a body that need not be JSON.
    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer of the RPC.
    pub(crate) async fn ok(self) -> Value {
        self.ok_with_headers().await.0
    }

    /// The answer of the RPC and its headers.
    pub(crate) async fn ok_with_headers(self) -> (Value, HeaderMap) {
        let (http, name, rpc) = (self.http, self.name(), self.rpc());
        let (status, headers, answer) = self.send().await;
        assert_eq!(status, 200, "{name}: {answer}");
        http.answered(rpc, &name);
        (answer, headers)
    }

    /// The messages of a stream, one a line, until its end.
    pub(crate) async fn lines(self) -> Vec<Value> {
        let (http, name, rpc) = (self.http, self.name(), self.rpc());
        let (status, _, body) = self.send_text().await;
        assert_eq!(status, 200, "{name}: {body}");
        http.answered(rpc, &name);
        let line = |line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {body}"))
        };
        body.lines().map(line).collect()
    }

    /// A document as it was sent, and its type.
    pub(crate) async fn document(self) -> (String, String) {
        let (http, name, rpc) = (self.http, self.name(), self.rpc());
        let (status, headers, body) = self.send_text().await;
        assert_eq!(status, 200, "{name}: {body}");
        http.answered(rpc, &name);
        let content_type = headers["content-type"].to_str().expect("it is a text").to_owned();
        (content_type, body)
    }

    /// That a service that has nothing to answer with says so, which is an answer too.
    pub(crate) async fn has_none(self, expected: u16, reason: &str) {
        let (http, name, rpc) = (self.http, self.name(), self.rpc());
        self.refused(expected, reason).await;
        http.answered(rpc, &name);
    }

    /// The answer, where there is one yet.
    pub(crate) async fn attempt(self) -> Option<Value> {
        let (http, name, rpc) = (self.http, self.name(), self.rpc());
        let (status, _, answer) = self.send().await;
        if status != 200 {
            return None;
        }
        http.answered(rpc, &name);
        Some(answer)
    }

    /// The refusal, a google.rpc.Status with one ErrorInfo, which has this HTTP status and reason.
    /// Gives the whole Status, and the figures.
    pub(crate) async fn refused(self, expected: u16, reason: &str) -> (Value, Value) {
        let name = self.name();
        let (status, _, answer) = self.send().await;
        let details = answer["details"].as_array().cloned().unwrap_or_default();
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        let infos: Vec<_> = details.iter().filter(|detail| detail["@type"] == kind).collect();
        assert_eq!(infos.len(), 1, "{name}: {status} {answer}");
        let told = (status, infos[0]["reason"].as_str(), infos[0]["domain"].as_str());
        assert_eq!(told, (expected, Some(reason), Some("strongroom")), "{name}: {answer}");
        assert!(answer["code"].is_i64() && answer["message"].is_string(), "{name}: {answer}");
        let figures = infos[0]["metadata"].clone();
        (answer, figures)
    }

    fn name(&self) -> String {
        format!("{} {}", self.verb, self.target)
    }

    /// Which RPC it is, by the contracts.
    fn rpc(&self) -> Option<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        let mut fit =
            self.http.routes.iter().filter(|route| route.matches(self.verb.as_str(), path));
        let method = &fit.next()?.method;
        assert!(fit.next().is_none(), "{} means two RPCs", self.name());
        let service = self.headers.iter().find(|(name, _)| *name == "strongroom-service");
        Some(match service.filter(|_| is_shared(method)) {
            Some((_, service)) => format!("{service}: {method}"),
            None => method.clone(),
        })
    }

    async fn send(self) -> (u16, HeaderMap, Value) {
        let name = self.name();
        let (status, headers, body) = self.send_text().await;
        assert_eq!(headers["content-type"], "application/json", "{name}: {status} {body}");
        let answer = serde_json::from_str(&body);
        (status, headers, answer.unwrap_or_else(|error| panic!("{name}: {error}: {body}")))
    }

    async fn send_text(self) -> (u16, HeaderMap, String) {
        let name = self.name();
        let uri = format!("http://{}{}", self.http.address, self.target);
        let mut request = Request::builder().method(self.verb).uri(uri);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body).expect("the request is one");
        send(request).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Whether all services serve it, so that the caller has to say whose is meant.
fn is_shared(method: &str) -> bool {
    [
        "strongroom.events.",
        "strongroom.outcomes.",
        "strongroom.tenants.",
        "strongroom.transparency.",
    ]
    .iter()
    .any(|package| method.starts_with(package))
}

/// A plain GET of JSON.
pub(crate) async fn get(uri: &str) -> Result<(u16, Value), String> {
    let request = Request::get(uri).body(String::new()).map_err(|error| error.to_string())?;
    let (status, _, body) = send(request).await?;
    let body = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    Ok((status, body))
}

/// Each request has a connection of its own, so that none depends on another.
async fn send(request: Request<String>) -> Result<(u16, HeaderMap, String), String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let exchange = async {
        let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let body = String::from_utf8(body.to_vec()).map_err(|error| error.to_string())?;
        Ok((head.status.as_u16(), head.headers, body))
    };
    let timely = tokio::time::timeout(TIMEOUT, exchange).await;
    timely.map_err(|_| "no answer in time".to_owned())?
}
