//! Resources as sources read them, in any order and from any file: they name
//! each other by ARN, or by address in Terraform, until all are read.

use std::sync::Arc;

use crate::{
    doctor::{
        setting::{Place, Setting},
        system::{Application, Listener, LoadBalancer, Rule, TargetGroup},
    },
    model::attributes::Resource,
};

/// What a resource is called by others: its ARN, or its address in Terraform.
pub type Id = String;

/// Resources that are not yet tied to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Load balancers.
    pub load_balancers: Vec<(Id, LoadBalancer)>,
    /// Listeners.
    pub listeners: Vec<ListenerOf>,
    /// Rules that stand outside of their listener.
    pub rules: Vec<RuleOf>,
    /// Target groups.
    pub target_groups: Vec<(Id, TargetGroup)>,
    /// Attributes that stand outside of their resource.
    pub attributes: Vec<AttributesOf>,
    /// Targets of target groups.
    pub targets: Vec<TargetsOf>,
    /// Task definitions of ECS.
    pub task_definitions: Vec<TaskDefinition>,
    /// Services of ECS.
    pub services: Vec<Service>,
    /// Values of Terraform's variables: `.tfvars` files with their text.
    pub variables: Vec<(Arc<str>, String)>,
}

/// A listener and its load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerOf {
    /// Its own name for others.
    pub id: Id,
    /// Its load balancer, and where that is said.
    pub load_balancer: Setting<Id>,
    /// The listener.
    pub listener: Listener,
}

/// A rule and its listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOf {
    /// Its listener.
    pub listener: Id,
    /// The rule.
    pub rule: Rule,
}

/// Whose an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It names its resource.
    Named(Id),
    /// It does not; the file may tell.
    File {
        /// The file.
        file: Arc<str>,
        /// Where the answer begins.
        place: Place,
    },
}

/// Attributes and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributesOf {
    /// The kind of resource.
    pub of: Resource,
    /// The resource.
    pub owner: Owner,
    /// Where they begin.
    pub place: Place,
    /// The attributes by AWS's keys.
    pub given: Vec<(String, Setting<String>)>,
}

/// How many targets are registered, and with which group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetsOf {
    /// The target group.
    pub owner: Owner,
    /// How many.
    pub count: Setting<usize>,
}

/// A task definition of ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDefinition {
    /// Its ARN or address in Terraform; its family if it has none.
    pub id: Id,
    /// Its family.
    pub family: String,
    /// Its containers that clients may be sent to.
    pub containers: Vec<Application>,
}

/// A service of ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Setting<String>,
    /// Its task definition: ARN, `family:revision`, family or address in Terraform.
    pub task_definition: Option<Id>,
    /// `desiredCount`.
    pub desired_count: Option<Setting<u32>>,
    /// `healthCheckGracePeriodSeconds`.
    pub health_check_grace_period: Option<Setting<std::time::Duration>>,
    /// Which container gets the requests of which target group.
    pub load_balancers: Vec<ServiceLoadBalancer>,
}

/// An entry of a service's `loadBalancers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLoadBalancer {
    /// The target group.
    pub target_group: Id,
    /// The container.
    pub container_name: String,
    /// Its port.
    pub container_port: Option<Setting<u16>>,
}
