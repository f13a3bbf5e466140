//! OpenClaw's file behind the gateway: profiles take over from each other, and agents are models.

use backstop::sim::{Script, Sim};

use crate::support::Gateway;

#[tokio::test]
async fn a_profile_takes_over_from_another_and_agents_are_served() {
    let limited =
        "{ rules: [{ match: { key: 'key-one' }, fault: { status: 429, headers: { 'retry-after': '60' } } }] }";
    let sim = Sim::start(Script::parse(limited).unwrap()).unwrap();
    let text = format!(
        "{{ auth: {{ profiles: {{ 'proxy:one': {{ provider: 'proxy', mode: 'api_key' }},
                                  'proxy:two': {{ provider: 'proxy', mode: 'api_key' }} }} }},
            models: {{ providers: {{
                proxy: {{ baseUrl: '{}', api: 'openai-completions', headers: {{ 'X-Proxy-Region': 'us-west' }},
                          models: [{{ id: 'text-only', name: 'T', input: ['text'], contextWindow: 1000, maxTokens: 10 }}] }},
            }} }},
            agents: {{ defaults: {{ model: {{ primary: 'proxy/m', fallbacks: ['quick'] }},
                                    models: {{ 'proxy/text-only': {{ alias: 'quick' }} }} }},
                       list: [{{ id: 'main', default: true }}, {{ id: 'scribe', model: 'quick' }}] }},
            channels: {{ telegram: {{ botToken: '${{TELEGRAM_BOT_TOKEN}}' }} }} }}",
        sim.base_url("proxy")
    );
    let keys = [("PROXY_API_KEY_ONE", "key-one"), ("PROXY_API_KEY_TWO", "key-two")];
    let gateway = Gateway::start_with(&text, &keys).await;
    let answer = gateway.chat("default").await;
    assert_eq!(answer.trail(), "proxy/m@one=rate_limit:429, proxy/m@two=ok:200");
    for (name, trail) in [
        ("main", "proxy/m@two=ok:200"),
        ("proxy/m@one", "proxy/m@two=ok:200"),
        // Another model: another state of the same key.
        ("scribe", "proxy/text-only@one=rate_limit:429, proxy/text-only@two=ok:200"),
        ("quick", "proxy/text-only@two=ok:200"),
    ] {
        assert_eq!(gateway.chat(name).await.trail(), trail, "{name}");
    }
    let listed = gateway.get("/v1/models").await.text();
    for name in ["default", "main", "scribe", "quick", "proxy/m"] {
        assert!(listed.contains(&format!("\"{name}\"")), "{name}: {listed}");
    }
    assert!(sim.requests().iter().all(|request| request.headers["x-proxy-region"] == "us-west"));
    // What the file says of a model is known: an answer longer than it gives is not asked for.
    let long =
        serde_json::json!({ "model": "scribe", "max_tokens": 11, "messages": [{ "role": "user", "content": "x" }] });
    let refused = gateway.post("/v1/chat/completions", &[], &long).await;
    assert_eq!((refused.status, refused.trail()), (400, "proxy/text-only=skipped:max_output"));
}
