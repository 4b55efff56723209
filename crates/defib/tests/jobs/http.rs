//! What the server takes from strangers, and what not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Place, Server, asked, local, started};
use super::support::{output, text, wait_for};

fn message(response: reqwest::blocking::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().unwrap();
    (status, body["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let (_place, server) = started("");
    for (body, says) in [
        (json!({ "route": "far" }), "there is no route `far`; there are: default"),
        (json!({ "backend": "far" }), "there is no backend `far`; there are: local"),
        (json!({ "route": "default", "backend": "local" }), "not both"),
        (json!({ "inputs": [1] }), "this is no job"),
        (json!({ "input": {} }), "unknown field `input`"),
        (json!({ "timeout": "soon" }), "`timeout`"),
        (json!({ "max_attempts": 0 }), "at least 1"),
        (json!({ "inputs": { "image": { "sha256": "00" } } }), "is no SHA-256"),
    ] {
        let (status, said) = message(server.post(&body));
        assert!(status == 400 && said.contains(says), "{body}: {status} {said}");
    }
    let raw = |kind: &str, body: &str| {
        let post = server.http.post(format!("{}/v1/jobs", server.url)).header("content-type", kind);
        message(post.body(body.to_owned()).send().unwrap())
    };
    assert_eq!(raw("application/json", "{").0, 400);
    assert_eq!(raw("text/plain", "{}").0, 415);
    assert_eq!(message(server.get("/v1/jobs/jnone")), (404, "there is no job jnone".to_owned()));
    assert_eq!(message(server.get("/v1/jobs?state=lost")).0, 400);
    assert_eq!(message(server.get("/v1/nothing")).0, 404);
    assert_eq!(message(server.http.put(format!("{}/v1/jobs", server.url)).send().unwrap()).0, 405);
    let packed =
        server.http.post(format!("{}/v1/jobs", server.url)).header("content-encoding", "gzip").json(&json!({}));
    assert_eq!(message(packed.send().unwrap()).0, 415, "a small request could become any size");
    assert_eq!(server.json("/v1/jobs")["jobs"], json!([]), "nothing of this became a job");
}

#[test]
fn no_path_leads_out_of_the_folder_of_files() {
    let (place, server) = started("");
    std::fs::write(place.state().join("secret"), "key").unwrap();
    for path in ["..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", "..", "/etc/passwd", &"0".repeat(64), &"g".repeat(64)] {
        let response = server.get(&format!("/v1/artifacts/{path}"));
        let status = response.status().as_u16();
        assert!(status == 404 || status == 400, "{path}: {status}");
        assert!(!response.text().unwrap().contains("key"));
    }
}

#[test]
fn the_same_key_is_the_same_job() {
    let (_place, server) = started("");
    let post = |body: &Value| {
        let request = server.http.post(format!("{}/v1/jobs", server.url)).header("idempotency-key", "k1").json(body);
        request.send().unwrap()
    };
    let first: Value = post(&asked("echo", json!({ "text": "a" }))).json().unwrap();
    let second: Value = post(&asked("echo", json!({ "text": "a" }))).json().unwrap();
    assert_eq!(first["id"], second["id"]);
    let (status, said) = message(post(&asked("echo", json!({ "text": "b" }))));
    assert!(status == 422 && said.contains("use another key"), "{status} {said}");
    server.ends(first["id"].as_str().unwrap());
    assert_eq!(server.json("/v1/jobs")["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let place = Place::new("max_queued = 2", &local(""));
    let server = place.serve();
    let first = server.asks("nap", json!({ "seconds": 30.0 }));
    server.at_work(&first);
    let waiting = [server.asks("echo", json!({})), server.asks("echo", json!({}))];
    let response = server.post(&asked("echo", json!({})));
    assert_eq!(response.status(), 429);
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    server.http.delete(format!("{}/v1/jobs/{first}", server.url)).send().unwrap();
    for id in &waiting {
        assert_eq!(server.ends(id)["state"], "succeeded");
    }
    server.asks("echo", json!({}));
}

#[test]
fn files_come_as_parts_and_half_a_file_is_none() {
    let place = Place::new("max_json = \"10K\"\nmax_file = \"1M\"\nmax_upload = \"3M\"", &local(""));
    let server = place.serve();
    let job = asked("size", json!({}));
    let id = server.upload(&job, "image", "../../a b.png", vec![1; 5000]).json::<Value>().unwrap();
    let done = server.ends(id["id"].as_str().unwrap());
    assert_eq!(done["result"]["values"], json!({ "bytes": 5000, "name": "0-a_b.png" }), "{done}");
    assert_eq!(server.upload(&job, "image", "a", vec![1; 2 << 20]).status(), 413);
    assert_eq!(server.post(&asked("echo", json!({ "text": "x".repeat(20_000) }))).status(), 413);
    assert_eq!(message(server.upload(&json!({ "inputs": { "image": 1 } }), "image", "a", vec![1])).0, 400);
    let count = |server: &Server| server.json("/v1/jobs")["jobs"].as_array().unwrap().len();
    assert_eq!(count(&server), 1);
    // The client goes away in the middle of its file.
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let part = "--B\r\ncontent-disposition: form-data; name=\"job\"\r\n\r\n{\"inputs\":{\"what\":\"size\"}}\r\n\
                --B\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n";
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=B\r\n\
         content-length: 100000\r\n\r\n{part}{}",
        "y".repeat(3000)
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains(" 202 "), "{answer}");
    assert_eq!(count(&server), 1);
    let unfinished = place.state().join("artifacts/unfinished");
    let empty =
        wait_for(Duration::from_secs(10), || std::fs::read_dir(&unfinished).unwrap().next().is_none().then_some(()));
    assert!(empty.is_some(), "half a file was left");
}

#[test]
fn strangers_are_kept_out() {
    let place = Place::new("token_file = \"token\"", &local(""));
    std::fs::write(place.path("token"), "secret-of-ours\n").unwrap();
    let server = place.serve();
    let get = |token: Option<&str>| {
        let get = server.http.get(format!("{}/v1/jobs", server.url));
        token.map_or(get.try_clone().unwrap(), |token| get.bearer_auth(token)).send().unwrap().status().as_u16()
    };
    assert_eq!((get(None), get(Some("secret-of-theirs")), get(Some("secret-of-ours"))), (401, 401, 200));
    let health: Value = server.get("/healthz").json().unwrap();
    assert_eq!(health.as_object().unwrap().keys().collect::<Vec<_>>(), ["status"], "a stranger learns no more");
    drop(server);
    // Without a token: nobody but this machine, and no page of elsewhere.
    let open = Place::new("", &local(""));
    let refused = output(&mut open.command(&["serve", "--listen", "0.0.0.0:0"]));
    assert!(refused.status.code() == Some(125) && text(&refused.stderr).contains("there is no token"), "{refused:?}");
    let server = open.serve();
    let with = |name: &str, value: &str| {
        let get = server.http.get(format!("{}/v1/jobs", server.url)).header(name, value);
        get.send().unwrap().status().as_u16()
    };
    assert_eq!((with("origin", "https://evil.example"), with("host", "evil.example")), (403, 421));
    assert_eq!(with("x-other", "1"), 200);
}

#[test]
fn events_go_on_after_the_last_one_that_was_seen() {
    let (place, server) = started("predict_timeout = \"1s\"");
    let mark = place.path("mark").display().to_string();
    let id = server.asks("hang-once", json!({ "mark": mark }));
    // The stream is followed while the job goes on, and ends with it.
    let all = server.events(&id, "0");
    let kept: Vec<_> = all.iter().filter(|(id, _, _)| !id.is_empty()).collect();
    let kinds: Vec<&str> = kept.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["accepted", "claimed", "retry", "claimed", "succeeded"]);
    let rest: Vec<String> = server.events(&id, &kept[2].0).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(rest, ["claimed", "succeeded"]);
    assert!(server.events(&id, &kept[4].0).is_empty());
}

#[test]
fn slow_and_endless_requests_are_cut_off() {
    let (_place, server) = started("");
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\n").unwrap();
    // A header that never ends is not waited for.
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    assert!(ended.is_ok() && !text(&answer).contains(" 200 "), "{ended:?} {}", text(&answer));
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200_000)).as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!text(&answer).contains(" 200 "));
    server.json("/v1/jobs");
}

#[test]
fn figures_and_the_description_of_the_interface() {
    let (_place, server) = started("");
    server.ends(&server.asks("echo", json!({})));
    server.ends(&server.submit(&super::harness::once("raise", json!({}))));
    let metrics = server.get("/metrics").text().unwrap();
    for line in [
        "defib_jobs_accepted_total 2",
        "defib_attempts_total{backend=\"local\",outcome=\"succeeded\",cause=\"\"} 1",
        "defib_attempts_total{backend=\"local\",outcome=\"failed\",cause=\"unhandled-exception\"} 1",
        "defib_jobs{state=\"over\"} 2",
        "defib_workers{backend=\"local\"} 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    let described = server.json("/openapi.json");
    assert!(described["paths"]["/v1/jobs/{id}"]["get"].is_object());
    let backends = server.json("/v1/backends");
    assert_eq!(
        (backends["backends"][0]["name"].as_str(), backends["backends"][0]["kind"].as_str()),
        (Some("local"), Some("worker"))
    );
}
