// libical (Debian's libical-dev 3.0) for Swift. Its recurrence structure has arrays of hundreds of shorts, which Swift
// would see as tuples: what is asked of it is asked by inline functions here.
#pragma once
#include <libical/ical.h>
#include <stdbool.h>
#include <stddef.h>

/// NULL: no iCalendar text at all. What is only partly wrong comes with X-LIC-ERROR properties in it.
static inline icalcomponent *pronto_ical_parse(const char *text) {
    icalerror_set_errors_are_fatal(0);
    return icalparser_parse_string(text);
}

/// How often a rule repeats, as libical's number; ICAL_NO_RECURRENCE where it is none.
static inline icalrecurrencetype_frequency pronto_ical_frequency(const icalproperty *rule) {
    return icalproperty_get_rrule(rule).freq;
}

/// Whether the rule is "each year on the day of its start", for ever.
static inline bool pronto_ical_is_plain_yearly(const icalproperty *rule, struct icaltimetype start) {
    struct icalrecurrencetype r = icalproperty_get_rrule(rule);
    const short none = ICAL_RECURRENCE_ARRAY_MAX;
    if (r.freq != ICAL_YEARLY_RECURRENCE || r.interval > 1 || r.count > 0 || !icaltime_is_null_time(r.until)) return false;
    if (r.rscale && r.rscale[0]) return false;
    if (r.by_second[0] != none || r.by_minute[0] != none || r.by_hour[0] != none || r.by_day[0] != none) return false;
    if (r.by_year_day[0] != none || r.by_week_no[0] != none || r.by_set_pos[0] != none) return false;
    if (r.by_month[0] != none && (r.by_month[0] != start.month || r.by_month[1] != none)) return false;
    return r.by_month_day[0] == none || (r.by_month_day[0] == start.day && r.by_month_day[1] == none);
}

/// The days on which the rule falls, from its start. NULL: a rule that cannot be followed.
static inline icalrecur_iterator *pronto_ical_days(const icalproperty *rule, struct icaltimetype start) {
    return icalrecur_iterator_new(icalproperty_get_rrule(rule), start);
}
