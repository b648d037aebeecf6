// The seed explorer: all that was recorded.
import { showSeeds } from "./seed_page.js";

export function mount(host, data) { showSeeds(host, data); }
