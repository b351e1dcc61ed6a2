//! Nothing in this contract is ever null: what is not there is left out. Derived schemas say otherwise of every `Option`,
//! and clients that are generated from them would have to ask twice.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

pub(super) fn never_null(document: &mut OpenApi) {
    let components = document.components.iter_mut().flat_map(|components| components.schemas.values_mut());
    let operations = document.paths.paths.values_mut().flat_map(operations);
    let parameters = operations.flat_map(|operation| operation.parameters.iter_mut().flatten());
    let of_parameters = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => parameter.schema.as_mut(),
        RefOr::Ref(_) => None,
    });
    components.chain(of_parameters).for_each(strip);
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    item.get.iter_mut().chain(&mut item.post)
}

fn strip(schema: &mut RefOr<Schema>) {
    let RefOr::T(own) = schema else { return };
    match own {
        Schema::Object(object) => {
            strip_type(&mut object.schema_type);
            object.properties.values_mut().for_each(strip);
        }
        Schema::Array(list) => strip_type(&mut list.schema_type),
        Schema::AllOf(all) => all.items.iter_mut().for_each(strip),
        Schema::OneOf(one_of) => {
            one_of.items.retain(|item| !is_null(item));
            let description = one_of.description.take();
            if let [only] = &mut *one_of.items {
                let mut only = only.clone();
                if let (RefOr::Ref(reference), Some(description)) = (&mut only, description) {
                    reference.description = description;
                }
                *schema = only;
            } else {
                one_of.description = description;
            }
        }
        Schema::AnyOf(_) | _ => {}
    }
}

fn strip_type(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|one| !matches!(one, Type::Null));
        if let [only] = &**types {
            *schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if matches!(object.schema_type, SchemaType::Type(Type::Null)))
}
