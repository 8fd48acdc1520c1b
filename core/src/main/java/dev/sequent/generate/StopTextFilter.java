package dev.sequent.generate;

import java.util.List;

/**
 * Lets a stream of text through until a stop text is complete. Text that may still become one is held back; it is let through when it turns
 * out not to. The stop text that is complete first counts, of several that are complete at the same character the longest, so the result
 * does not depend on how the text is cut into pieces. Belongs to one stream.
 */
final class StopTextFilter {
    private final List<String> stops;
    private final StringBuilder held = new StringBuilder();
    private boolean stopped;

    StopTextFilter(List<String> stops) {
        this.stops = stops;
    }

    /** Whether a stop text has been seen. Nothing passes any more. */
    boolean stopped() {
        return stopped;
    }

    /** Adds a piece and returns the text that may pass. */
    String next(String piece) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < piece.length() && !stopped; i++) {
            held.append(piece.charAt(i));
            int complete = completed();
            stopped = complete > 0;
            int passing = stopped ? held.length() - complete : held.length() - possible();
            out.append(held, 0, passing);
            held.delete(0, passing);
        }
        return out.toString();
    }

    /** Ends the stream and returns what is still held back. */
    String finish() {
        String rest = stopped ? "" : held.toString();
        held.setLength(0);
        return rest;
    }

    /** Length of the longest stop text at the end of what is held, or 0. A complete one lies in it as a whole. */
    private int completed() {
        int longest = 0;
        for (String stop : stops) {
            int at = held.length() - stop.length();
            longest = at >= 0 && held.indexOf(stop, at) == at ? Math.max(longest, stop.length()) : longest;
        }
        return longest;
    }

    /** Length of the longest end of what is held that a stop text begins with. */
    private int possible() {
        for (int from = 0; from < held.length(); from++) {
            String end = held.substring(from);
            if (stops.stream().anyMatch(stop -> stop.startsWith(end))) {
                return end.length();
            }
        }
        return 0;
    }
}
