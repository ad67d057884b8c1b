// Browsers start no workers for pages that lie in a folder. There, the site's search runs in a hidden frame that looks like one.
if (location.protocol === "file:") {
  const load = (frame, url) => new Promise((done, failed) => {
    const script = frame.contentDocument.createElement("script");
    Object.assign(script, {src: url, onload: done, onerror: failed});
    frame.contentDocument.body.append(script);
  });

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = this.frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      frame.contentDocument.open();
      frame.contentDocument.write("<!doctype html><body>");
      frame.contentDocument.close();
      this.inner = frame.contentWindow;
      this.inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}));
      this.inner.importScripts = (...urls) => urls.reduce((all, one) => all.then(() => load(frame, one)), Promise.resolve());
      this.ready = load(frame, url);
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", {data})));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
