//! Every job ends in exactly one way, whatever its predictor does, and no slot is lost.

use serde_json::{Value, json};

use super::harness::{asked, gone, once, outcomes, started};
use super::support::wait_for;

#[test]
fn a_value_a_picture_and_what_happened() {
    let (_place, server) = started("");
    let id = server.asks("echo", json!({ "text": "hello" }));
    let job = server.ends(&id);
    assert_eq!((job["state"].as_str(), &job["result"]["values"]), (Some("succeeded"), &json!({ "output": "hello" })));
    assert_eq!((&job["error"], &job["progress"]["done"]), (&Value::Null, &Value::Null));
    assert_eq!(outcomes(&job), [("local".into(), "full".into(), "succeeded".into())]);
    let kinds: Vec<String> = server.events(&id, "0").into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["accepted", "claimed", "succeeded"]);

    let job = server.ends(&server.asks("picture", json!({})));
    let output = &job["result"]["outputs"][0];
    assert_eq!((output["name"].as_str(), output["media_type"].as_str()), (Some("output.png"), Some("image/png")));
    let response = server.get(output["url"].as_str().unwrap());
    assert_eq!(response.headers()["content-type"], "image/png");
    let bytes = response.bytes().unwrap();
    assert_eq!((bytes.len() as u64, &bytes[1..4]), (output["bytes"].as_u64().unwrap(), &b"PNG"[..]));
}

#[test]
fn what_hangs_is_ended_for_real_and_the_next_job_is_done() {
    let (_place, server) = started("predict_timeout = \"1s\"\nheartbeat_timeout = \"10s\"");
    for (what, cause) in [("hang", "unknown"), ("deadlock", "lock-deadlock"), ("loop", "endless-loop")] {
        let id = server.submit(&once(what, json!({})));
        let pid = server.at_work(&id);
        let job = server.ends(&id);
        assert_eq!((job["state"].as_str(), job["error"]["cause"].as_str()), (Some("failed"), Some(cause)), "{job}");
        let place = job["error"]["report"]["causes"][0]["where"]["file"].as_str().unwrap_or_default();
        assert!(place.ends_with("predict.py"), "{what}: {job}");
        assert_eq!(job["error"]["report"]["outcome"]["kind"], "timed-out");
        assert!(gone(pid), "{what}: the process lives on");
        let next = server.ends(&server.asks("echo", json!({ "text": "next" })));
        assert_eq!(next["state"], "succeeded", "after {what}");
    }
}

#[test]
fn what_holds_the_interpreter_is_ended_by_its_missing_heartbeat() {
    let (_place, server) = started("heartbeat_timeout = \"2s\"");
    let id = server.submit(&once("gil", json!({})));
    let pid = server.at_work(&id);
    let job = server.ends(&id);
    assert_eq!(job["state"], "failed");
    let told = job["error"]["report"]["actions"].to_string();
    assert!(told.contains("no heartbeat within 2"), "{told}");
    assert!(gone(pid));
    assert_eq!(server.ends(&server.asks("echo", json!({})))["state"], "succeeded");
}

#[test]
fn deaths_and_errors_are_named() {
    let (_place, server) = started("");
    for (what, cause, says) in [
        ("exit", "unknown", "exited with status 3"),
        ("crash", "native-crash", "segmentation fault"),
        ("raise", "unhandled-exception", "predict.py:"),
        ("config", "config-invalid", "model.path"),
        ("oom", "gpu-oom", "GPU"),
    ] {
        let job = server.ends(&server.submit(&once(what, json!({}))));
        let error = &job["error"];
        assert_eq!((job["state"].as_str(), error["cause"].as_str()), (Some("failed"), Some(cause)), "{what}: {job}");
        assert!(error["explanation"].as_str().unwrap().contains(says), "{what}: {error}");
        assert_eq!(job["attempts"][0]["cause"].as_str(), Some(cause));
    }
    assert_eq!(server.ends(&server.asks("echo", json!({})))["state"], "succeeded");
}

#[test]
fn an_input_that_is_wrong_is_not_tried_again() {
    let (_place, server) = started("");
    for (inputs, says) in [
        (json!({ "steps": "many" }), "steps"),
        (json!({ "colour": "red" }), "unknown input colour"),
        (json!({ "image": "a.png" }), "image is a file"),
    ] {
        let job = server.ends(&server.submit(&json!({ "inputs": inputs })));
        assert_eq!(job["error"]["cause"], "request-rejected", "{job}");
        assert!(job["error"]["explanation"].as_str().unwrap().contains(says), "{job}");
        assert_eq!(job["attempts"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn an_answer_that_is_too_long_is_told_as_such() {
    let (_place, server) = started("");
    let job = server.ends(&server.asks("huge", json!({})));
    assert_eq!(
        (job["error"]["cause"].as_str(), job["attempts"].as_array().unwrap().len()),
        (Some("request-rejected"), 1)
    );
    assert!(job["error"]["explanation"].as_str().unwrap().contains("return large data as files"), "{job}");
    assert_eq!(server.ends(&server.asks("echo", json!({})))["state"], "succeeded");
}

#[test]
fn an_answer_that_others_cannot_read_does_not_wait_for_its_time() {
    let (_place, server) = started("");
    let job = server.ends(&server.asks("surrogate", json!({})));
    assert_eq!(job["result"]["values"]["output"], json!(["caf\u{fffd}", "\u{1f600}"]), "{job}");
    let job = server.ends(&server.submit(&once("number", json!({}))));
    assert!(job["error"]["explanation"].as_str().unwrap().contains("its answer cannot be read"), "{job}");
    assert_eq!(server.ends(&server.asks("echo", json!({})))["state"], "succeeded");
}

#[test]
fn output_is_looked_at_before_a_job_counts_as_done() {
    let (_place, server) = started("[backend.check]\nwidth = \"width\"\nheight = 48");
    for (what, cause, says) in [
        ("nan", "precision-nan", "score"),
        ("black", "precision-nan", "black all over"),
        ("filtered", "content-filter", "black all over"),
    ] {
        let job = server.ends(&server.submit(&once(what, json!({}))));
        assert_eq!((job["state"].as_str(), job["error"]["cause"].as_str()), (Some("failed"), Some(cause)), "{job}");
        assert!(job["error"]["explanation"].as_str().unwrap().contains(says), "{job}");
        assert_eq!(job["result"], Value::Null);
    }
    // What made it is not used again.
    let who = |server: &super::harness::Server| {
        let job = server.ends(&server.asks("who", json!({})));
        (job["result"]["values"]["pid"].as_i64().unwrap(), job["result"]["values"]["calls"].as_i64().unwrap())
    };
    let (before, calls) = who(&server);
    assert_eq!(calls, 1);
    server.ends(&server.submit(&once("black", json!({}))));
    let (after, calls) = who(&server);
    assert!(before != after && calls == 1, "{before} {after}");
    assert_eq!(server.ends(&server.asks("picture", json!({ "width": 96 })))["state"], "succeeded");
    let job = server.ends(&server.submit(&once("picture", json!({ "height": 50 }))));
    assert!(job["error"]["explanation"].as_str().unwrap().contains("64×50 pixels, not any×48"), "{job}");
}

#[test]
fn cancelled_while_it_waits_and_while_it_works() {
    let (_place, server) = started("");
    let works = server.asks("hang", json!({}));
    let pid = server.at_work(&works);
    let waits = server.asks("echo", json!({}));
    let cancel = |id: &str| -> Value {
        let url = format!("{}/v1/jobs/{id}", server.url);
        server.http.delete(url).send().unwrap().json().unwrap()
    };
    assert_eq!(cancel(&waits)["state"], "cancelled");
    cancel(&works);
    let job = server.ends(&works);
    assert_eq!((job["state"].as_str(), job["attempts"][0]["outcome"].as_str()), (Some("cancelled"), Some("cancelled")));
    assert!(gone(pid), "its process lives on");
    assert_eq!(cancel(&works)["state"], "cancelled", "again changes nothing");
    assert_eq!(server.ends(&server.asks("echo", json!({})))["state"], "succeeded");
}

#[test]
fn progress_and_time_left_are_told() {
    let (_place, server) = started("");
    let id = server.asks("work", json!({ "seconds": 3.0, "steps": 20 }));
    let told = wait_for(super::harness::LONG, || {
        let progress = server.job(&id)["progress"].clone();
        progress["eta_s"].as_f64().is_some().then_some(progress)
    });
    let told = told.unwrap();
    assert_eq!(told["total"], 20.0);
    assert!(told["done"].as_f64().unwrap() < 20.0 && told["eta_s"].as_f64().unwrap() < 6.0, "{told}");
    server.ends(&id);
}

#[test]
fn a_deadline_in_the_queue_says_what_it_waited_for() {
    let (_place, server) = started("");
    let works = server.asks("nap", json!({ "seconds": 30.0 }));
    server.at_work(&works);
    let mut waits = asked("echo", json!({}));
    waits["deadline"] = json!("1s");
    let job = server.ends(&server.submit(&waits));
    assert_eq!(
        (job["state"].as_str(), job["error"]["cause"].as_str()),
        (Some("failed"), Some("slots-exhausted")),
        "{job}"
    );
    assert!(job["error"]["explanation"].as_str().unwrap().contains("all 1 workers of `local`"), "{job}");
}

#[test]
fn a_job_has_no_more_time_than_it_asked_for() {
    let (_place, server) = started("predict_timeout = \"60s\"");
    server.ready();
    let mut slow = once("hang", json!({}));
    slow["timeout"] = json!("1s");
    let job = server.ends(&server.submit(&slow));
    assert_eq!(job["error"]["report"]["outcome"]["kind"], "timed-out", "{job}");
    // In all, its attempts together.
    let mut late = asked("hang", json!({}));
    late["deadline"] = json!(2);
    let job = server.ends(&server.submit(&late));
    assert_eq!((job["state"].as_str(), job["attempts"].as_array().unwrap().len()), (Some("failed"), 1), "{job}");
}
