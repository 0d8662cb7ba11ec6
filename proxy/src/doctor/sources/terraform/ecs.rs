//! `aws_ecs_task_definition` and `aws_ecs_service`.

use super::{
    super::{
        aws::{item::Item, resources::Resources},
        ecs,
    },
    resource::Resource,
};
use crate::doctor::{
    document::{Node, Value, json},
    setting::Place,
    system::Note,
};

/// A task definition: `container_definitions` is a text of JSON, or what `jsonencode` is given.
pub(super) fn add_task_definition(resource: &Resource<'_>, resources: &mut Resources, notes: &mut Vec<Note>) {
    let Some(written) = resource.values.get("container_definitions") else { return };
    let Some(containers) = containers(written) else {
        return notes.push(Note {
            place: written.place.clone(),
            message: format!("only Terraform knows the containers of {}", resource.address),
        });
    };
    let item = resource.item();
    let path = item.key("container_definitions");
    let items: Vec<_> = containers.iter().map(|container| Item::api_at(container, &path)).collect();
    resources.task_definitions.push(ecs::task_definition(&item, Some(resource.id()), &items));
}

fn containers(written: &Node) -> Option<Vec<Node>> {
    match &written.value {
        Value::List(containers) => Some(containers.clone()),
        Value::Scalar(text) => {
            let Place::File { file, .. } = &written.place else { return None };
            let mut documents = json(file, text).ok()?.into_iter();
            let Value::List(mut containers) = documents.next()?.value else { return None };
            // Lines within the text are none of the file.
            containers.iter_mut().for_each(|container| stand_at(container, &written.place));
            Some(containers)
        }
        Value::Null | Value::Map(_) => None,
    }
}

fn stand_at(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| stand_at(item, place)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| stand_at(value, place)),
        Value::Null | Value::Scalar(_) => {}
    }
}

/// A service.
pub(super) fn add_service(resource: &Resource<'_>, resources: &mut Resources) {
    let Some(mut service) = ecs::service(&resource.item()) else { return };
    let id = |text: &mut String| *text = super::reference::id(resource.module, text);
    service.task_definition.iter_mut().for_each(id);
    service.load_balancers.iter_mut().for_each(|entry| id(&mut entry.target_group));
    resources.services.push(service);
}
