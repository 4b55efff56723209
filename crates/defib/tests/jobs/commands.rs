//! The backend that starts a program for each job.

use serde_json::{Value, json};

use super::harness::{Place, Server, gone};

fn serve(command: &str, keys: &str) -> (Place, Server) {
    let place =
        Place::new("", &format!("[[backend]]\nname = \"tool\"\nkind = \"command\"\ncommand = {command}\n{keys}\n"));
    let server = place.serve();
    (place, server)
}

#[test]
fn inputs_become_arguments_and_files_become_outputs() {
    let script = "import json, os, sys, pathlib; out = pathlib.Path(sys.argv[2]); (out / 'deep').mkdir(); \
                  (out / 'deep' / 'a.txt').write_text(open(sys.argv[3]).read().upper()); \
                  (out / 'values.json').write_text(json.dumps({'prompt': sys.argv[1], 'all': json.load(open(os.environ['DEFIB_INPUTS']))})); \
                  print('drawn')";
    let (_place, server) = serve(&json!(["python3", "-c", script, "{prompt}", "{out}", "{image}"]).to_string(), "");
    let job = json!({ "inputs": { "prompt": "a {b} $(c); d", "steps": 3 } });
    let job: Value = server.upload(&job, "image", "in.txt", b"text".to_vec()).json().unwrap();
    let job = server.ends(job["id"].as_str().unwrap());
    assert_eq!(job["state"], "succeeded", "{job}");
    let values = &job["result"]["values"];
    assert_eq!((values["prompt"].as_str(), values["all"]["steps"].as_i64()), (Some("a {b} $(c); d"), Some(3)));
    assert_eq!(values["stdout"], "drawn\n");
    let output = &job["result"]["outputs"][0];
    assert_eq!((output["name"].as_str(), output["media_type"].as_str()), (Some("deep/a.txt"), Some("text/plain")));
    assert_eq!(server.get(output["url"].as_str().unwrap()).text().unwrap(), "TEXT");
}

#[test]
fn a_program_that_fails_is_explained() {
    let (_place, server) = serve("[\"python3\", \"-c\", \"import no_such_module_here\"]", "");
    let job = server.ends(&server.submit(&json!({})));
    assert_eq!(
        (job["error"]["cause"].as_str(), job["attempts"].as_array().unwrap().len()),
        (Some("import-missing"), 1)
    );
    let (_place, server) = serve("[\"no-such-program-at-all\"]", "");
    let job = server.ends(&server.submit(&json!({})));
    assert_eq!(job["error"]["cause"], "program-missing", "{job}");
    let (_place, server) = serve("[\"cat\", \"{image}\"]", "");
    let job = server.ends(&server.submit(&json!({})));
    assert_eq!(job["error"]["cause"], "request-rejected", "{job}");
    assert!(job["error"]["explanation"].as_str().unwrap().contains("needs the input `image`"));
}

#[test]
fn its_whole_tree_ends_at_the_deadline() {
    let script = "sleep 1000 & echo $! >\"$1\"; wait";
    let command = json!(["sh", "-c", script, "sh", "{mark}"]).to_string();
    let (place, server) = serve(&command, "predict_timeout = \"1s\"");
    let mark = place.path("mark");
    let job = json!({ "inputs": { "mark": mark.display().to_string() }, "max_attempts": 1 });
    let job = server.ends(&server.submit(&job));
    assert_eq!(job["error"]["report"]["outcome"]["kind"], "timed-out", "{job}");
    let pid: i64 = std::fs::read_to_string(mark).unwrap().trim().parse().unwrap();
    assert!(gone(pid));
}
