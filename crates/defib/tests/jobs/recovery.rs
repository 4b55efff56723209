//! The cause chooses what follows, and the history says so.

use serde_json::json;

use super::harness::{Place, asked, local, outcomes, started};

fn attempt(backend: &str, profile: &str, outcome: &str) -> (String, String, String) {
    (backend.into(), profile.into(), outcome.into())
}

#[test]
fn out_of_memory_takes_the_lighter_profile_never_the_same_again() {
    let profiles = "[[backend.profile]]\nname = \"fewer\"\ninputs = { steps = 5 }\n\
                    [[backend.profile]]\nname = \"small\"\ninputs = { steps = 5, width = 512, height = 384 }";
    let (_place, server) = started(profiles);
    let id = server.asks("oom", json!({ "width": 768, "height": 448 }));
    let job = server.ends(&id);
    let full = [
        attempt("local", "full", "failed"),
        attempt("local", "fewer", "failed"),
        attempt("local", "small", "succeeded"),
    ];
    assert_eq!(outcomes(&job), full, "{job}");
    let (_, _, told) = server.events(&id, "0").into_iter().find(|(_, kind, _)| kind == "retry").unwrap();
    let decision = &told["decision"];
    assert_eq!((decision["remedy"].as_str(), decision["cause"].as_str()), (Some("lighter"), Some("gpu-oom")));
    assert!(decision["evidence"].to_string().contains("CUDA out of memory"), "{decision}");
    assert_eq!(told["choice"]["profile"], "fewer");
}

#[test]
fn nan_gets_a_fresh_worker_with_more_precision() {
    let profile = "[[backend.profile]]\nname = \"exact\"\naim = \"precise\"\noptions = { dtype = \"float32\" }";
    let (_place, server) = started(profile);
    let job = server.ends(&server.asks("nan", json!({})));
    assert_eq!(outcomes(&job), [attempt("local", "full", "failed"), attempt("local", "exact", "succeeded")]);
    assert_eq!(job["result"]["values"]["score"], 0.5);
    // The next job is done as it was asked for.
    let job = server.ends(&server.asks("who", json!({})));
    assert_eq!(job["result"]["values"]["dtype"], "float16");
}

#[test]
fn a_stall_goes_to_the_next_backend_with_the_saved_inputs() {
    let local = local("predict_timeout = \"1s\"");
    let other = "[[backend]]\nname = \"other\"\nkind = \"command\"\n\
                 command = [\"sh\", \"-c\", \"wc -c <\\\"$1\\\" >\\\"$2/size.txt\\\"\", \"sh\", \"{image}\", \"{out}\"]\n\
                 [[route]]\nname = \"default\"\nbackends = [\"local\", \"other\"]\n";
    let place = Place::new("", &format!("{local}{other}"));
    let server = place.serve();
    let response = server.upload(&asked("hang", json!({})), "image", "frame.png", vec![7; 1000]);
    let job: serde_json::Value = response.json().unwrap();
    let job = server.ends(job["id"].as_str().unwrap());
    assert_eq!(outcomes(&job), [attempt("local", "full", "failed"), attempt("other", "full", "succeeded")], "{job}");
    let file = server.get(job["result"]["outputs"][0]["url"].as_str().unwrap()).text().unwrap();
    assert_eq!(file.trim(), "1000");
}

#[test]
fn what_hung_once_may_do_in_a_fresh_worker() {
    let (place, server) = started("predict_timeout = \"1s\"");
    let mark = place.path("mark").display().to_string();
    let job = server.ends(&server.asks("hang-once", json!({ "mark": mark })));
    assert_eq!(outcomes(&job), [attempt("local", "full", "failed"), attempt("local", "full", "succeeded")], "{job}");
    let mark = place.path("mark2").display().to_string();
    let job = server.ends(&server.asks("exit-once", json!({ "mark": mark })));
    assert_eq!(outcomes(&job), [attempt("local", "full", "failed"), attempt("local", "full", "succeeded")], "{job}");
}

#[test]
fn what_is_permanent_is_not_tried_again() {
    let (_place, server) = started("");
    let job = server.ends(&server.asks("config", json!({})));
    assert_eq!(outcomes(&job).len(), 1, "{job}");
    let told = server.events(job["id"].as_str().unwrap(), "0");
    let (_, _, failed) = told.into_iter().find(|(_, kind, _)| kind == "failed").unwrap();
    assert_eq!(
        (failed["decision"]["action"].as_str(), failed["decision"]["remedy"].as_str()),
        (Some("give-up"), Some("never"))
    );
}

#[test]
fn the_configuration_may_say_otherwise() {
    let place = Place::new(
        "",
        &format!("{}[remedy]\nconfig-invalid = \"again\"\nunhandled-exception = \"never\"\n", local("")),
    );
    let server = place.serve();
    assert_eq!(outcomes(&server.ends(&server.asks("config", json!({})))).len(), 2);
    assert_eq!(outcomes(&server.ends(&server.asks("raise", json!({})))).len(), 1);
}

#[test]
fn a_setup_that_fails_fails_the_job_with_its_cause() {
    let (_place, server) = started("[backend.options]\nbroken = \"import\"");
    let job = server.ends(&server.asks("echo", json!({})));
    assert_eq!((job["error"]["cause"].as_str(), outcomes(&job).len()), (Some("import-missing"), 1), "{job}");
    assert!(job["error"]["explanation"].as_str().unwrap().contains("no_such_module_of_anybody"), "{job}");
    let health = server.get("/healthz");
    assert_eq!(health.status(), 503);
    let health: serde_json::Value = health.json().unwrap();
    assert_eq!(
        (health["status"].as_str(), health["backends"][0]["seats"][0]["trouble"][0].as_str()),
        (Some("degraded"), Some("import-missing"))
    );
}

#[test]
fn a_setup_that_hangs_is_ended() {
    let (_place, server) = started("setup_timeout = \"1s\"\n[backend.options]\nbroken = \"hang\"");
    let mut job = asked("echo", json!({}));
    job["max_attempts"] = json!(1);
    let job = server.ends(&server.submit(&job));
    assert_eq!(job["error"]["report"]["outcome"]["kind"], "timed-out", "{job}");
    assert_eq!(job["error"]["report"]["outcome"]["stage"], "setup", "{job}");
}
