package dev.sequent.mixer;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * What a mixer must know about a batch of sequences besides their values: which positions are padding, where documents that were packed
 * into one row begin, and the random stream of dropout.
 *
 * <p>Documents are numbered per row; position (b, t) belongs to document {@code documents[b * T + t]}, and -1 is padding. A mixer never
 * lets information cross from one document to another, and padding neither reads nor changes anything. Immutable; thread-safe except for
 * its random stream.
 */
public final class SequenceInfo {
    /** Flag of a token before which the state is cleared: the first of a document that does not begin its row. */
    public static final byte RESET = 1;
    /** Flag of padding: the state passes through, and the output is zero. */
    public static final byte SKIP = 2;

    private static final long MOST = Integer.MAX_VALUE - 16;

    private final int batch;
    private final int time;
    private final int[] documents;
    private final Rng dropout;
    private final byte[] flags;

    private SequenceInfo(int batch, int time, int[] documents, Rng dropout) {
        this.batch = batch;
        this.time = time;
        this.documents = documents;
        this.dropout = dropout;
        this.flags = documents == null ? null : flags(batch, time, documents);
    }

    /**
     * Rows of one document each, without padding or dropout.
     *
     * @throws ShapeException unless there are fewer than 2^31 positions in all
     */
    public static SequenceInfo of(long batch, long time) {
        boolean fits = batch >= 0 && time >= 0 && batch <= MOST && time <= MOST && batch * time <= MOST;
        if (!fits) {
            throw new ShapeException("sequences", "sizes of at least 0 and fewer than 2^31 positions in all", batch + " x " + time);
        }
        return new SequenceInfo((int) batch, (int) time, null, null);
    }

    /** The info of a tensor of shape (B, T, ...): one document a row. */
    public static SequenceInfo of(Tensor x) {
        return of(x.dim(0), x.dim(1));
    }

    /**
     * With document numbers (B T, row-major), -1 for padding.
     *
     * @throws ShapeException when there is not one number per position, or a document of a row goes on after another one
     */
    public SequenceInfo withDocuments(int[] documents) {
        if (documents.length != batch * time) {
            throw new ShapeException("documents", batch * time + " numbers, one per position", documents.length + "");
        }
        int[] own = documents.clone();
        for (int b = 0; b < batch; b++) {
            requirePieces(own, b * time, (b + 1) * time);
        }
        return new SequenceInfo(batch, time, own, dropout);
    }

    /** A document that came back would be another one to a recurrence, and the same one to attention. */
    private static void requirePieces(int[] documents, int from, int to) {
        Set<Integer> ended = new HashSet<>();
        int present = -1;
        for (int i = from; i < to; i++) {
            if (documents[i] >= 0 && documents[i] != present) {
                if (present >= 0) {
                    ended.add(present);
                }
                present = documents[i];
                if (ended.contains(present)) {
                    throw new ShapeException("documents", "each document of a row in one piece", "document " + present
                            + " again at position " + (i - from));
                }
            }
        }
    }

    /** With left padding: row b begins with {@code T - lengths[b]} padding positions. */
    public SequenceInfo withLeftPadding(int[] lengths) {
        return withDocuments(padded(lengths, true));
    }

    /** With right padding: row b has {@code lengths[b]} positions and then padding. */
    public SequenceInfo withRightPadding(int[] lengths) {
        return withDocuments(padded(lengths, false));
    }

    private int[] padded(int[] lengths, boolean left) {
        if (lengths.length != batch) {
            throw new ShapeException("padding", batch + " lengths, one per row", lengths.length + "");
        }
        int[] d = new int[batch * time];
        for (int b = 0; b < batch; b++) {
            if (lengths[b] < 0 || lengths[b] > time) {
                throw new ShapeException("padding", "lengths in [0, " + time + "]", lengths[b] + " in row " + b);
            }
            int from = left ? 0 : lengths[b];
            int to = left ? time - lengths[b] : time;
            for (int t = from; t < to; t++) {
                d[b * time + t] = -1;
            }
        }
        return d;
    }

    /** In training, with dropout drawn from {@code rng}. */
    public SequenceInfo withDropout(Rng rng) {
        return new SequenceInfo(batch, time, documents, rng);
    }

    private static byte[] flags(int batch, int time, int[] documents) {
        byte[] flags = new byte[batch * time];
        for (int b = 0; b < batch; b++) {
            int previous = -1;
            for (int t = 0; t < time; t++) {
                int document = documents[b * time + t];
                if (document < 0) {
                    flags[b * time + t] = SKIP;
                } else {
                    flags[b * time + t] = previous >= 0 && document != previous ? RESET : 0;
                    previous = document;
                }
            }
        }
        return flags;
    }

    /** B: rows. */
    public int batch() {
        return batch;
    }

    /** T: positions per row. */
    public int time() {
        return time;
    }

    /** Document numbers (B T), or null when every row is one document without padding. Not to be changed. */
    public int[] documents() {
        return documents;
    }

    /** {@link #RESET} and {@link #SKIP} flags (B T), or null when there are none. Not to be changed. */
    public byte[] flags() {
        return flags;
    }

    /** The random stream of dropout; empty in evaluation. */
    public Optional<Rng> dropout() {
        return Optional.ofNullable(dropout);
    }

    /** Position of every token within its document (B T); padding has 0. {@code offset} tokens of the row's first document came before. */
    public int[] positions(int[] offset) {
        int[] positions = new int[batch * time];
        for (int b = 0; b < batch; b++) {
            int next = offset == null ? 0 : offset[b];
            for (int t = 0; t < time; t++) {
                int i = b * time + t;
                byte flag = flags == null ? 0 : flags[i];
                if (flag == SKIP) {
                    continue;
                }
                next = flag == RESET ? 0 : next;
                positions[i] = next++;
            }
        }
        return positions;
    }

    /** Tokens per row that are not padding. */
    public int[] lengths() {
        int[] lengths = new int[batch];
        for (int b = 0; b < batch; b++) {
            for (int t = 0; t < time; t++) {
                lengths[b] += flags == null || flags[b * time + t] != SKIP ? 1 : 0;
            }
        }
        return lengths;
    }

    /** 1 at tokens and 0 at padding, of shape (B, T, 1). */
    public Tensor validMask(Device device, DType dtype) {
        return mask(device, dtype, SKIP);
    }

    /** 0 where the state is cleared before the token and 1 elsewhere, of shape (B, T, 1). */
    public Tensor keepMask(Device device, DType dtype) {
        return mask(device, dtype, RESET);
    }

    /** {@code x} (B, T, D) with zeros at padding; itself where there is none. */
    public Tensor withoutPadding(Tensor x) {
        return flags == null ? x : x.mul(validMask(x.device(), x.dtype()));
    }

    private Tensor mask(Device device, DType dtype, byte zeroAt) {
        float[] m = new float[batch * time];
        for (int i = 0; i < m.length; i++) {
            m[i] = flags != null && flags[i] == zeroAt ? 0 : 1;
        }
        return Tensor.of(device, m, batch, time, 1).cast(dtype);
    }

    /** Checks that {@code x} has shape (B, T, width). */
    public void expect(String op, Tensor x, long width) {
        x.expect(op, batch, time, width);
    }
}
