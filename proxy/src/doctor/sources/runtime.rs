//! What an application is built on, told by how it is started.

use crate::doctor::{
    setting::Setting,
    sources::properties::words,
    system::{Application, Runtime},
};

/// Images of JVMs.
const JVM_IMAGES: [&str; 7] = ["jdk", "jre", "java", "temurin", "corretto", "tomcat", "graalvm"];

/// What an application is built on, if its source or its start says so.
pub(super) fn told(application: &Application) -> Option<Runtime> {
    if application.runtime != Runtime::Unknown {
        return Some(application.runtime);
    }
    let image = application.image.as_ref().map(|image| name(&image.value)).unwrap_or_default();
    let words = words(&application.command);
    let runs = |program: &str| words.iter().any(|word| program_of(word) == program);
    let has_variable = |start: &str| application.environment.keys().any(|name| name.starts_with(start));
    if image.contains("albeit-backend") || runs("albeit-backend") {
        Some(Runtime::AlbeitBackend)
    } else if has_variable("SPRING_") || has_variable("SERVER_TOMCAT_") || image.contains("spring") {
        Some(Runtime::Spring)
    } else if image == "node"
        || image.starts_with("node-")
        || has_variable("NODE_")
        || runs("node")
        || runs("npm")
    {
        Some(Runtime::Node)
    } else if has_variable("WEBSOCKET_PING_") {
        // As the gateways of NestJS name them.
        Some(Runtime::Node)
    } else {
        None
    }
}

/// Whether an application may be built on Spring: nothing says that it is not, and a JVM is not against it.
pub(super) fn is_jvm(application: &Application) -> bool {
    let image = application.image.as_ref().map(|image| name(&image.value)).unwrap_or_default();
    JVM_IMAGES.iter().any(|known| image.contains(known))
        || application.environment.keys().any(|name| name.starts_with("JAVA_") || name.starts_with("JDK_"))
        || words(&application.command).iter().any(|word| program_of(word) == "java")
}

/// The name of a program without its directory.
fn program_of(word: &Setting<String>) -> &str {
    word.value.rsplit('/').next().unwrap_or_default()
}

/// The last part of an image's name, without registry, tag and digest.
fn name(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next().unwrap_or_default().to_ascii_lowercase()
}
