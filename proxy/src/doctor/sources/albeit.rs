//! Our own configuration.
//!
//! It is read as `albeit run` reads it, so that what is judged here is what
//! runs: a file with mistakes is refused with all of them. Only certificates
//! and keys need not be there: the doctor may look at another machine's file.

mod declared;
mod rules;
mod settings;
mod target_group;

#[cfg(test)]
mod tests;

use std::path::Path;

use self::settings::Settings;
use super::{Document, SourceError};
use crate::{
    config::{Overrides, Source},
    doctor::{
        attributes::Attributes,
        document::Node,
        system::{Listener, LoadBalancer, System},
    },
    model::{self, attributes::Resource, listener::ProxyProtocolMode},
};

/// Adds what a configuration of ours says.
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    read_with(document, &Overrides::default(), system)
}

/// Adds what a configuration of ours says with `overrides` on top.
pub(super) fn read_with(
    document: &Document<'_>,
    overrides: &Overrides,
    system: &mut System,
) -> Result<bool, SourceError> {
    let is_ours = |tree: &&Node| tree.get("load_balancers").is_some();
    let Some(tree) = document.trees.iter().find(is_ours) else { return Ok(false) };
    let base = document.path.parent().unwrap_or_else(|| Path::new(""));
    let source = Source::from_text(document.text, base, document.file).of_another_machine();
    let loaded = source.parse(document.env, overrides)?;
    let settings = Settings { loaded: &loaded, file: document.file, tree };
    for (index, it) in loaded.model.load_balancers.iter().enumerate() {
        system.load_balancers.push(load_balancer(&settings, index, it));
    }
    for (index, group) in loaded.model.target_groups.iter().enumerate() {
        system.target_groups.push(target_group::convert(&settings, index, group));
        declared::read(document, &settings, (index, &group.name), system)?;
    }
    Ok(true)
}

fn load_balancer(settings: &Settings<'_>, index: usize, load_balancer: &model::LoadBalancer) -> LoadBalancer {
    let at = format!("load_balancers[{index}]");
    let mut attributes = Attributes::new(Resource::LoadBalancer, load_balancer.kind);
    settings.give(&mut attributes, settings.loaded.attributes.load_balancer(index), &at);
    let listeners = load_balancer.listeners.iter().enumerate();
    LoadBalancer {
        name: settings.written(load_balancer.name.clone(), &at, "name"),
        kind: load_balancer.kind,
        attributes,
        listeners: listeners
            .map(|(number, it)| listener(settings, (index, load_balancer), number, it))
            .collect(),
    }
}

fn listener(
    settings: &Settings<'_>,
    (of, load_balancer): (usize, &model::LoadBalancer),
    index: usize,
    listener: &model::Listener,
) -> Listener {
    let at = format!("load_balancers[{of}].listeners[{index}]");
    let mut attributes = Attributes::new(Resource::Listener, load_balancer.kind);
    settings.give(&mut attributes, settings.loaded.attributes.listener(of, index), &at);
    let mode = attributes.text("albeit.proxy_protocol");
    let proxy_protocol = match listener.attributes.proxy_protocol.mode {
        ProxyProtocolMode::Off => Some(mode.map(|_| false)),
        ProxyProtocolMode::Required => Some(mode.map(|_| true)),
        // Whoever stands in front may do as it likes.
        ProxyProtocolMode::Optional => None,
    };
    let policy = listener.tls.as_ref().map(|tls| tls.policy.name.to_owned());
    Listener {
        protocol: settings.written(listener.protocol.as_str().to_owned(), &at, "protocol"),
        port: Some(settings.written(listener.bind.port(), &at, "port")),
        ssl_policy: policy.map(|name| settings.or_default(name, &at, "ssl_policy", "the API of ELB")),
        attributes,
        rules: rules::convert(settings, &at, settings.rules_of(of, index), listener),
        proxy_protocol,
    }
}
