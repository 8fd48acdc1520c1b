package dev.sequent.type;

/** A checkpoint file is malformed, truncated, or does not fit the model. */
public class CheckpointException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public CheckpointException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public CheckpointException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
