//! Which RPC a verb and a path mean, as `google.api.http` says it in the contracts.

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

/// One RPC over HTTP.
pub(crate) struct Route {
    /// `strongroom.accounts.v1.AccountService.GetAccount`; with its path behind it where that is
    /// not the method's first.
    pub(crate) method: String,
    verb: String,
    /// The segments of `/v1/accounts/*`.
    pattern: Vec<String>,
}

impl Route {
    /// Every RPC of every contract.
    pub(crate) fn all() -> Vec<Self> {
        let pool = pool();
        let services: Vec<_> = pool.services().collect();
        let methods = services.iter().flat_map(prost_reflect::ServiceDescriptor::methods);
        // What the caller streams has none: it is gRPC alone.
        let methods = methods.filter(|method| !method.is_client_streaming());
        methods.flat_map(|method| Self::of(&pool, &method)).collect()
    }

    fn of(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<Self> {
        let http = pool.get_extension_by_name("google.api.http").expect("the option is known");
        let options = method.options();
        let rule = options.get_extension(&http);
        let rule: &DynamicMessage = rule.as_message().expect("the option is a message");
        let first = Self::on(method.full_name().to_owned(), rule);
        let more = rule.get_field_by_name("additional_bindings").expect("rules have them");
        let more = more.as_list().expect("they are a list").iter().map(|rule| {
            let route = Self::on(String::new(), rule.as_message().expect("each is a rule"));
            let method = format!("{} at {}", method.full_name(), route.pattern.join("/"));
            Self { method, ..route }
        });
        std::iter::once(first).chain(more).collect()
    }

    fn on(method: String, rule: &DynamicMessage) -> Self {
        let verb = ["get", "put", "post", "delete", "patch"]
            .into_iter()
            .find(|verb| rule.has_field_by_name(verb))
            .unwrap_or_else(|| panic!("{method} has no path"));
        let template = rule.get_field_by_name(verb).expect("the verb is a field");
        Self {
            method,
            verb: verb.to_uppercase(),
            pattern: pattern(template.as_str().expect("a path is a string")),
        }
    }

    /// Whether a request means this RPC.
    pub(crate) fn matches(&self, verb: &str, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let fits = |(pattern, segment): (&String, &&str)| match pattern.strip_prefix('*') {
            // A colon begins a verb of the method's own (AIP-136).
            Some("") => !segment.is_empty() && !segment.contains(':'),
            Some(own_verb) => segment.ends_with(own_verb),
            None => pattern == segment,
        };
        self.verb == verb
            && self.pattern.len() == path.len()
            && self.pattern.iter().zip(&path).all(fits)
    }
}

/// The contracts.
pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(strongroom_proto::FILE_DESCRIPTOR_SET).expect("the contracts are whole")
}

/// `/v1/{name=accounts/*}:close/{id}` as the segments of `/v1/accounts/*:close/*`.
fn pattern(template: &str) -> Vec<String> {
    let mut pattern = String::new();
    for part in template.split('}') {
        let (literal, variable) = part.split_once('{').unwrap_or((part, ""));
        pattern.push_str(literal);
        if !variable.is_empty() {
            pattern.push_str(variable.split_once('=').map_or("*", |(_, pattern)| pattern));
        }
    }
    pattern.split('/').map(str::to_owned).collect()
}
