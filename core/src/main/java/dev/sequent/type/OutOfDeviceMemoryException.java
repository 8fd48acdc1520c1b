package dev.sequent.type;

/** A device could not provide the requested memory; nothing was lost, and smaller requests may still succeed. */
public class OutOfDeviceMemoryException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public OutOfDeviceMemoryException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public OutOfDeviceMemoryException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public OutOfDeviceMemoryException(String message, Throwable cause) {
        super(message, cause);
    }
}
