#!/bin/sh
# How jobs are submitted, asked after and cancelled. Edit the settings, and the lines of your scheduler if
# your site submits jobs in another way.
#
#   scheduler.sh submit RULE THREADS MEMORY_MB MINUTES GPUS JOBSCRIPT    prints the number of the job
#   scheduler.sh status JOB                                              prints running, success or failed
#   scheduler.sh cancel JOB...

# --- settings

# lsf, sge (also UGE and its other descendants), pbs (PBS Pro and OpenPBS), kubernetes, or slurm.
SCHEDULER=lsf
# Queues (partitions) for jobs without and with a GPU; empty for the scheduler's own choice.
CPU_QUEUE=
GPU_QUEUE=
# What your site requires of every job, such as a project or an account: -P lab, -A lab.
EXTRA=
# The parallel environment of SGE that gives cores of one node.
SGE_PE=smp
# For Kubernetes: an image with the Python of .venv; the claim of a volume that holds the checkout and that many pods
# may write to (ReadWriteMany); where it is mounted, here as in the pods.
IMAGE=python:3.12
VOLUME=study
VOLUME_PATH=/study
# What schedulers print of jobs; a job's own messages are in results/<run>/logs.
LOGS=.snakemake/scheduler

set -eu

# A scheduler that does not answer says nothing about the job: it is taken for running and asked after again.

# --- LSF

lsf_submit() {
    # Memory per host and with its unit, as sites differ in the unit of a bare number.
    answer=$(bsub -J "$rule" -n "$threads" ${queue:+-q "$queue"} -W "$minutes" -o "$LOGS/%J.$rule" \
        -R "span[hosts=1] rusage[mem=${memory}MB]" -M "${memory}MB" \
        $([ "$gpus" = 0 ] || echo "-gpu num=$gpus:mode=shared:j_exclusive=yes") $EXTRA "$script")
    echo "$answer" | sed -n 's/^Job <\([0-9]*\)>.*/\1/p'
}

lsf_status() {
    case $(bjobs -noheader -o stat "$1" 2>&1) in
        DONE) echo success ;;
        # Nothing is known of a job after CLEAN_PERIOD, an hour; it is asked after more often.
        EXIT | *'is not found'*) echo failed ;;
        *) echo running ;;
    esac
}

lsf_cancel() { bkill "$@"; }

# --- SGE, UGE

sge_submit() {
    # h_vmem counts for each slot.
    qsub -terse -cwd -V -N "$rule" -pe "$SGE_PE" "$threads" ${queue:+-q "$queue"} -l "h_rt=$((minutes * 60))" \
        -l "h_vmem=$(((memory + threads - 1) / threads))M" $([ "$gpus" = 0 ] || echo "-l gpu=$gpus") \
        -S /bin/sh -j y -o "$LOGS" $EXTRA "$script"
}

sge_status() {
    queued=$(qstat) || { echo running && return; }
    # E, also in Eqw: the job could not be started and waits for someone to look.
    case $(echo "$queued" | awk -v job="$1" '$1 == job { print $5 }') in
        *E*) echo failed ;;
        ?*) echo running ;;
        *) sge_account "$1" ;;
    esac
}

# An ended job is in the accounts, but not at once.
sge_account() {
    for attempt in 1 2 3 4 5 6; do
        if account=$(qacct -j "$1" 2>/dev/null); then
            echo "$account" | awk '
                ($1 == "failed" || $1 == "exit_status") && $2 != "0" { bad = 1 }
                END { print bad ? "failed" : "success" }'
            return
        fi
        sleep "${ACCOUNT_SECONDS:-5}"
    done
    echo failed
}

sge_cancel() { qdel "$@"; }

# --- PBS

pbs_submit() {
    # Names of jobs have fifteen characters.
    qsub -V -N "$(printf %.15s "$rule")" ${queue:+-q "$queue"} -l "walltime=$((minutes * 60))" \
        -l "select=1:ncpus=$threads:mem=${memory}mb$([ "$gpus" = 0 ] || echo ":ngpus=$gpus")" \
        -j oe -o "$LOGS/" $EXTRA "$script"
}

pbs_status() {
    # -x: ended jobs too, which the server remembers for job_history_duration.
    qstat -x -f "$1" 2>&1 | awk '
        $1 == "job_state" { state = $3 }
        $1 == "Exit_status" { status = $3 }
        /Unknown Job/ { state = "F" }
        END { print state != "F" ? "running" : status == "0" ? "success" : "failed" }'
}

pbs_cancel() { qdel "$@"; }

# --- Kubernetes, with a volume in the place of a shared file system

kubernetes_submit() {
    kubectl create -o name $EXTRA -f - <<JOB
apiVersion: batch/v1
kind: Job
metadata:
  generateName: tfbs-moe-
  labels: {rule: "$rule"}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: $((minutes * 60))
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: job
          image: "$IMAGE"
          command: [sh, "$script"]
          resources:
            requests: {cpu: "$threads", memory: ${memory}M}
            limits: {memory: ${memory}M$([ "$gpus" = 0 ] || echo ", nvidia.com/gpu: $gpus")}
          volumeMounts:
            - {name: study, mountPath: "$VOLUME_PATH"}
      volumes:
        - {name: study, persistentVolumeClaim: {claimName: "$VOLUME"}}
JOB
}

kubernetes_status() {
    case $(kubectl get "$1" -o 'jsonpath={.status.succeeded}/{.status.failed}' 2>&1) in
        1/*) echo success ;;
        /[1-9]* | *NotFound*) echo failed ;;
        *) echo running ;;
    esac
}

kubernetes_cancel() { kubectl delete --wait=false "$@"; }

# --- SLURM, where the profile slurm cannot be used

slurm_submit() {
    answer=$(sbatch --parsable --export=ALL -J "$rule" -c "$threads" ${queue:+-p "$queue"} -t "$minutes" \
        --mem "$memory" $([ "$gpus" = 0 ] || echo "--gpus=$gpus") -o "$LOGS/%j.$rule" $EXTRA "$script")
    echo "${answer%;*}"
}

slurm_status() {
    # The controller forgets ended jobs after MinJobAge, five minutes; sacct, where there is one, does not.
    case $(scontrol -o show job "$1" 2>&1) in
        *' JobState=COMPLETED '*) echo success ;;
        *' JobState=BOOT_FAIL '* | *' JobState=CANCELLED '* | *' JobState=DEADLINE '* | *' JobState=FAILED '* | \
            *' JobState=NODE_FAIL '* | *' JobState=OUT_OF_MEMORY '* | *' JobState=TIMEOUT '*) echo failed ;;
        *'Invalid job id'*) [ "$(sacct -X -n -j "$1" -o state | tr -d ' ')" = COMPLETED ] && echo success || echo failed ;;
        *) echo running ;;
    esac
}

slurm_cancel() { scancel "$@"; }

# --- what Snakemake calls

action=$1
shift
case $action in
    submit)
        rule=$1 threads=$2 memory=$3 minutes=$4 gpus=$5 script=$6
        [ "$gpus" = 0 ] && queue=$CPU_QUEUE || queue=$GPU_QUEUE
        mkdir -p "$LOGS"
        "${SCHEDULER}_submit"
        ;;
    status | cancel) "${SCHEDULER}_$action" "$@" ;;
    *)
        echo "scheduler.sh: submit, status or cancel, not $action" >&2
        exit 2
        ;;
esac
