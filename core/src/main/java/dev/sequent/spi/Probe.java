package dev.sequent.spi;

/**
 * Answer of a component that was asked whether it works here.
 *
 * @param status what was found
 * @param message what was found, in one sentence
 * @param remedy what the user can do about it, or an empty string when available
 */
public record Probe(Status status, String message, String remedy) {
    /** What a probe can find. */
    public enum Status { AVAILABLE, MISSING_SOFTWARE, UNSUPPORTED_HARDWARE, MISCONFIGURED }

    /** A successful probe. */
    public static Probe available(String message) {
        return new Probe(Status.AVAILABLE, message, "");
    }

    /** True when the component works. */
    public boolean isAvailable() {
        return status == Status.AVAILABLE;
    }

    @Override
    public String toString() {
        return status + ": " + message + (remedy.isEmpty() ? "" : " (" + remedy + ")");
    }
}
