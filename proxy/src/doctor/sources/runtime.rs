//! What an application is built on, told by how it is started.

use super::command;
use crate::doctor::system::{Application, Runtime};

/// Parts of the names of images of JVMs.
const JVM_IMAGES: [&str; 7] = ["jdk", "jre", "java", "temurin", "corretto", "tomcat", "graalvm"];

/// What an application is built on, if its source or its start says so.
pub(super) fn told(application: &Application) -> Option<Runtime> {
    if application.runtime != Runtime::Unknown {
        return Some(application.runtime);
    }
    let image = image(application);
    let runs = |program: &str| command::runs(&application.command, program);
    let has_variable = |start: &str| application.environment.keys().any(|name| name.starts_with(start));
    if image.contains("albeit-backend") || runs("albeit-backend") {
        Some(Runtime::AlbeitBackend)
    } else if image.contains("spring") || has_variable("SPRING_") || has_variable("SERVER_TOMCAT_") {
        Some(Runtime::Spring)
    } else if image == "node" || ["NODE_", "WEBSOCKET_PING_"].into_iter().any(has_variable) {
        // The latter as gateways of NestJS have it.
        Some(Runtime::Node)
    } else if ["node", "npm", "yarn", "pnpm"].into_iter().any(runs) {
        Some(Runtime::Node)
    } else {
        None
    }
}

/// Whether a JVM runs it.
pub(super) fn is_jvm(application: &Application) -> bool {
    let image = image(application);
    JVM_IMAGES.iter().any(|known| image.contains(known))
        || application.environment.keys().any(|name| name.starts_with("JAVA_") || name.starts_with("JDK_"))
        || command::runs(&application.command, "java")
}

/// The name of the image, without registry, tag and digest.
fn image(application: &Application) -> String {
    let image = application.image.as_ref().map_or("", |image| image.value.as_str());
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next().unwrap_or_default().to_ascii_lowercase()
}
