package dev.sequent.type;

/** Training has left the range of finite numbers: a loss or a gradient became infinite or NaN. */
public class DivergenceException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public DivergenceException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public DivergenceException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public DivergenceException(String message, Throwable cause) {
        super(message, cause);
    }
}
