// The seed explorer before anything is known of intervals: one comparison, so nothing to choose but seeds.
import { showSeeds } from "./seed_page.js";

export function mount(host, data) { showSeeds(host, data); }
