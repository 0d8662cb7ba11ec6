//! Terraform: resources of the AWS provider, by the provider's names.
//!
//! Registry pages: `aws_lb`, `aws_lb_listener`, `aws_lb_listener_rule`,
//! `aws_lb_target_group`, `aws_lb_target_group_attachment`,
//! `aws_ecs_task_definition`, `aws_ecs_service`. They come from a state or
//! plan as `terraform show -json` writes it, or from `.tf` files; both become
//! the same trees. What only Terraform could know stays unknown.

mod attributes;
mod directory;
mod ecs;
mod fill;
mod health_check;
mod reference;
mod resource;
mod show;

#[cfg(test)]
mod tests;

pub(super) use self::{
    directory::{read_directory, read_file},
    show::read as read_show,
};

/// Whose defaults hold where ELB's do not.
const PROVIDER: &str = "Terraform's AWS provider";
