//! The description of the interface, from its types.

use axum::Json;
use defib_core::job::JobView;
use defib_engine::jobs::{Health, Request};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::jobs::JobList;
use super::status::BackendList;

/// `GET /openapi.json`.
pub(super) async fn get() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let mut schemas = SchemaSettings::openapi3().into_generator();
    let job = reference::<JobView>(&mut schemas);
    let request = reference::<Request>(&mut schemas);
    let ok = |what: &str, schema: &Value| answer("200", what, schema);
    let id = parameter("id", "path", "Id of the job", &json!({ "type": "string" }));
    let key = parameter(
        "Idempotency-Key",
        "header",
        "Handed in again with the same key, it is the same job",
        &json!({ "type": "string" }),
    );
    let body = json!({ "required": true, "content": {
        "application/json": { "schema": request },
        "multipart/form-data": { "schema": {
            "type": "object", "properties": { "job": request }, "required": ["job"],
            "additionalProperties": { "type": "string", "format": "binary" },
            "description": "Files are parts named like their inputs",
        } },
    } });
    let change = json!({ "content": { "application/json": { "schema": request } } });
    let file = json!({ "type": "string", "format": "binary" });
    let text = json!({ "type": "string" });
    let list = reference::<JobList>(&mut schemas);
    let backends = reference::<BackendList>(&mut schemas);
    let health = reference::<Health>(&mut schemas);
    let state = parameter("state", "query", "Only jobs in this state", &text);
    let limit = parameter("limit", "query", "At most so many", &json!({ "type": "integer" }));
    let last = parameter("Last-Event-ID", "header", "Go on after this event", &text);
    let wait = parameter("wait", "query", "Answer once the job is over, or after this long, as `60s`", &text);
    let digest = parameter("sha256", "path", "SHA-256 of the file", &text);
    let paths = json!({
        "/v1/jobs": {
            "post": operation("Hand in a job", &[&key, &wait], Some(&body), &[
                answer("202", "Accepted: it is on disk", &job), problem("400"), problem("413"), problem("422"),
                problem("429"), problem("503"),
            ]),
            "get": operation("Jobs, newest first", &[&state, &limit], None, &[ok("Jobs", &list), problem("400")]),
        },
        "/v1/jobs/{id}": {
            "get": operation("A job", &[&id, &wait], None, &[ok("The job", &job), problem("404")]),
            "delete": operation("Cancel a job", &[&id], None, &[ok("The job as it stands", &job), problem("404")]),
        },
        "/v1/jobs/{id}/events": {
            "get": operation("What happens to a job (server-sent events)", &[&id, &last], None, &[
                events(), problem("404"),
            ]),
        },
        "/v1/jobs/{id}/replay": {
            "post": operation("The same job again, with its saved inputs", &[&id, &key], Some(&change), &[
                answer("202", "Accepted: a new job", &job), problem("404"),
            ]),
        },
        "/v1/artifacts/{sha256}": {
            "get": operation("A file", &[&digest], None, &[("200".to_owned(), json!({
                "description": "Its bytes", "content": { "application/octet-stream": { "schema": file } },
            })), problem("404")]),
        },
        "/v1/backends": { "get": operation("Backends", &[], None, &[ok("How they stand", &backends)]) },
        "/healthz": { "get": operation("How the service stands", &[], None, &[
            ok("Every backend has a worker that is up", &health), answer("503", "One has none", &health),
        ]) },
        "/metrics": { "get": operation("Figures for Prometheus", &[], None, &[("200".to_owned(), json!({
            "description": "OpenMetrics text", "content": { "application/openmetrics-text": { "schema": text } },
        }))]) },
    });
    let mut components: Map<String, Value> = schemas.take_definitions(true).into_iter().collect();
    components.insert(
        "Error".to_owned(),
        json!({
            "type": "object", "properties": { "error": { "type": "object", "properties": { "message": text } } },
        }),
    );
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "defib", "version": env!("CARGO_PKG_VERSION"),
            "description": "Inference as jobs that cannot hang: each ends in one result or one explained failure.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }, {}],
    })
}

fn reference<T: schemars::JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn parameter(name: &str, place: &str, what: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "description": what, "schema": schema })
}

fn answer(status: &str, what: &str, schema: &Value) -> (String, Value) {
    (status.to_owned(), json!({ "description": what, "content": { "application/json": { "schema": schema } } }))
}

fn problem(status: &str) -> (String, Value) {
    let what = match status {
        "404" => "There is none",
        "413" => "Too large",
        "422" => "The idempotency key was used for another job",
        "429" => "The queue is full; Retry-After says when to try again",
        "503" => "The server is about to stop",
        _ => "The request makes no sense; the message says why",
    };
    answer(status, what, &json!({ "$ref": "#/components/schemas/Error" }))
}

fn events() -> (String, Value) {
    let what = "Events with id, kind and JSON data: accepted, claimed, retry, succeeded, failed, cancelled, …; progress without an id";
    (
        "200".to_owned(),
        json!({ "description": what, "content": { "text/event-stream": { "schema": { "type": "string" } } } }),
    )
}

fn operation(summary: &str, parameters: &[&Value], body: Option<&Value>, answers: &[(String, Value)]) -> Value {
    let mut operation = json!({
        "summary": summary, "parameters": parameters,
        "responses": answers.iter().cloned().collect::<Map<String, Value>>(),
    });
    if let Some(body) = body {
        operation["requestBody"] = body.clone();
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` leads somewhere, and the job has the fields that clients rely on.
    #[test]
    fn the_description_is_whole() {
        let all = description();
        let schemas = all["components"]["schemas"].as_object().unwrap();
        let text = all.to_string();
        for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.contains_key(name), "{name} is not described");
        }
        for field in ["id", "state", "attempts", "result", "error", "progress"] {
            assert!(schemas["JobView"]["properties"].get(field).is_some(), "{field}");
        }
        assert_eq!(all["paths"].as_object().unwrap().len(), 8);
    }
}
