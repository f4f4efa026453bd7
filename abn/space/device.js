// The network on the visitor's own device, where the folder that computes in browsers lies beside this page: Live asks it
// in place of the server. Nothing of it is loaded before that.

export class Device {
  constructor(app) {
    this.app = app;
    this.engine = null; // {name, where(words), frame(canvas)} once it is there
    this.failed = false;
    this.coming = null;
  }

  // Whether it may answer: the folder is there, and no other model was chosen.
  get wanted() {
    const { app } = this;
    return Boolean(app.state?.in_browser) && !app.view.model && !app.coming && !this.failed && 'DecompressionStream' in window;
  }

  get answers() {
    return this.wanted && this.engine !== null;
  }

  // Bring it, once; where that fails, the server goes on answering. report: called with {got, all}, bytes.
  bring(report) {
    this.coming ||= this.load(report).catch((error) => this.fail(error));
    return this.coming;
  }

  async load(report) {
    const base = this.app.beside(this.app.state.in_browser.base);
    const { bring } = await import(`${base}/frames.js`);
    this.engine = await bring(base, report);
  }

  fail(error) {
    console.info(`the server answers: ${error.message}`);
    this.failed = true;
    this.engine = null;
  }

  // A canvas's answer, as the server gives it; null where this device cannot, from now on.
  async frame(canvas) {
    try {
      return { ...(await this.engine.frame(canvas)), model: this.named };
    } catch (error) {
      this.fail(error);
      return null;
    }
  }

  get named() {
    const { words } = this.app;
    return this.engine.name || words.say('bundled_name');
  }
}
