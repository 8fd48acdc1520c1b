package dev.sequent.type;

/** Tensors of one operation live on different devices. */
public class DeviceMismatchException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public DeviceMismatchException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public DeviceMismatchException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public DeviceMismatchException(String message, Throwable cause) {
        super(message, cause);
    }
}
