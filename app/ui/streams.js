// Lets any number of tabs share a browser's few connections to this server (six, of HTTP/1.1).
//
// Gradio reads its answers from one stream a tab. It closes it when no answer is pending, and an
// event sent at that moment would be answered to nobody: its button stays dead until the page is
// reloaded. So Gradio is given a stream that never ends. Behind it stands a connection only while
// answers are pending, and no more than SLOTS of them in all tabs together.
(() => {
  const SLOTS = 4; // the others are for pages, events and uploads
  const SLOT = "dait-stream-";
  const TURN = 3000; // milliseconds of a connection, after which a tab lets others that wait go first
  const BROKEN = { msg: "broken_connection", message: "Connection errored out. " };
  const ask = window.fetch.bind(window);
  const pending = new Set(); // events that are not answered yet
  const answered = new Set(); // before their sender knew their names
  let joining = 0;
  let endless = null; // what Gradio reads
  let address = null;
  let reading = false;
  let since = Infinity; // the connection was made
  let ended = Promise.resolve(); // with the connection

  window.fetch = async (resource, options) => {
    const request = resource instanceof Request ? resource : null;
    const { pathname } = new URL(request?.url ?? resource, location.href);
    if (pathname.endsWith("/queue/data")) return openEndless(request, options);
    if (!pathname.endsWith("/queue/join")) return ask(resource, options);
    await ownTurn();
    joining += 1;
    try {
      const answer = await ask(resource, options);
      if (answer.ok) joined((await answer.clone().json()).event_id);
      return answer;
    } finally {
      joining -= 1;
      if (!joining) answered.clear();
    }
  };

  function openEndless(request, options) {
    address = request.url;
    const signal = options?.signal ?? request.signal;
    const gone = new AbortController();
    const body = new ReadableStream({ start: (controller) => { endless = { controller, gone }; } });
    const mine = endless;
    signal?.addEventListener("abort", () => {
      gone.abort();
      if (endless === mine) endless = null;
    });
    read();
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  function joined(id) {
    if (!answered.delete(id)) pending.add(id);
    read();
  }

  // Polls alone could keep a connection open for ever. It ends when nothing more is sent.
  async function ownTurn() {
    while (reading && performance.now() - since > TURN && (await othersWait())) await ended;
  }

  async function othersWait() {
    if (!navigator.locks) return false;
    return (await navigator.locks.query()).pending.some(({ name }) => name.startsWith(SLOT));
  }

  async function read() {
    if (reading || !endless || !pending.size) return;
    reading = true;
    let end;
    ended = new Promise((resolve) => { end = resolve; });
    const into = endless;
    try {
      await inSlot(into.gone.signal, () => {
        since = performance.now();
        return readConnection(into);
      });
    } catch (error) {
      if (!into.gone.signal.aborted) {
        console.warn(`The connection was lost: ${error}`);
        tell(into, `data: ${JSON.stringify(BROKEN)}`);
      }
      pending.clear();
    }
    reading = false;
    since = Infinity;
    end();
    read(); // what was sent while the connection ended
  }

  async function readConnection(into) {
    const answer = await ask(address, { signal: into.gone.signal, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const message = JSON.parse(part.slice("data:".length));
        if (message.msg === "close_stream") continue;
        if (message.msg === "process_completed") completed(message.event_id);
        if (message.msg === "unexpected_error") pending.clear();
        tell(into, part);
      }
    }
  }

  function completed(id) {
    if (!pending.delete(id) && joining) answered.add(id);
  }

  function tell(into, event) {
    if (into === endless) into.controller.enqueue(new TextEncoder().encode(`${event}\n\n`));
  }

  // Web Locks are not there in pages from http:// addresses of other machines.
  async function inSlot(signal, work) {
    if (!navigator.locks) return work();
    const found = new AbortController();
    signal.addEventListener("abort", () => found.abort());
    let taken = false;
    const attempts = Array.from({ length: SLOTS }, (_, slot) =>
      navigator.locks
        .request(SLOT + slot, { signal: found.signal }, async () => {
          if (taken) return;
          taken = true;
          found.abort(); // no longer wait for the other slots
          await work();
        })
        .catch((error) => {
          if (error.name !== "AbortError") throw error;
        }),
    );
    return Promise.all(attempts);
  }
})();
