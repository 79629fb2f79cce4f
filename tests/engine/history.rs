//! Going back, on a real engine: what docker's own words about images are is shown by nothing else.

use crate::service::Service;

#[test]
fn a_rollback_runs_the_image_that_served_though_its_name_means_another() {
    let Some(mut service) = Service::new("history") else {
        return;
    };
    // Names of this test's own: others run beside it.
    let image = "history-shop:1";
    for pulled in ["haproxy:2.6", "httpd:2"] {
        service.docker(&["pull", "-q", pulled]);
    }
    service.docker(&["pull", "-q", "httpd:2.4"]);
    service.docker(&["tag", "httpd:2.4", image]);
    service.set("INSTANCE_IMG", image);
    service.set("LB_IMG", "haproxy:2.6");
    service
        .tool(&["up", "-n", "2", "--pull", "never"])
        .succeeded();
    service.tool(&["scale", "3"]).succeeded();
    let id = |name: &str| service.docker(&["image", "inspect", "-f", "{{.Id}}", name]);
    let old = id(image);
    service.docker(&["tag", "httpd:2", image]);
    assert_ne!(id(image), old);
    let rollout = ["rollout", "--pull", "never", "--settle", "1s"];
    service.tool(&rollout).succeeded();
    let runs = |number: usize| {
        let name = service.instance(number);
        service.docker(&["inspect", "-f", "{{.Image}}", &name])
    };
    assert_eq!(runs(4), id(image));
    let ran = service.tool(&["rollback", "--settle", "1s", "--probe"]);
    ran.succeeded()
        .says("going back to entry 2: 3 instances of `history-shop:1`")
        .prints(" sent, 0 failed");
    service.serves(&service.instances(1..=3), "1");
    assert_eq!(runs(1), old);
    let shown = service.tool(&["history"]);
    shown.succeeded().prints("rollback to 2");
    service.tool(&["status"]).succeeded().prints(image);
    service.is_up_to_date(&["-n", "3"]);
    service.tool(&["down"]).succeeded();
    service.is_gone();
    let left = service.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let ours = format!("vch-lb/{}:", service.instance(1).trim_end_matches("-1"));
    assert!(left.contains(image) && !left.contains(&ours), "{left}");
    service.docker(&["rmi", image]);
}
